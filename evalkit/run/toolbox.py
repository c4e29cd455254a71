"""What the steps of one run share: the store, the engine that is loaded, the sandbox pool, the listener."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core import registry
from evalkit.core.ports import Engine, Listener, Sandbox, SandboxAdapter, Store
from evalkit.core.types import Json, Model, Progress
from evalkit.run.budget import Meter, metered
from evalkit.run.workers import open_engine


class Toolbox:
    """The Tools port. Engines and sandboxes start when first asked for; one engine is loaded at a time, because two
    seldom fit into one GPU's memory."""

    def __init__(
        self, store: Store, listener: Listener, sandbox_options: dict[str, Json], meter: Meter | None = None
    ) -> None:
        self.store: Store = store
        self.listener: Listener = listener
        self._options = sandbox_options
        self._meter = meter
        self._engine: tuple[Model, Engine] | None = None
        self._sandbox: Sandbox | None = None
        self._identity: str | None = None

    def engine(self, model: Model) -> Engine:
        if self._engine is not None and self._engine[0] != model:
            self._engine[1].close()
            self._engine = None
        if self._engine is None:
            self._engine = (model, metered(open_engine(model, self.listener.note), model.name, self._meter))
        return self._engine[1]

    @property
    def sandbox_identity(self) -> str:
        """Raises PrerequisiteError when no sandbox engine answers."""
        if self._identity is None:
            self._adapter().prepare(self._options, self.listener.note)
            self._identity = self._adapter().identity(self._options)
        return self._identity

    @property
    def sandbox_parts(self) -> dict[str, Json]:
        """What `sandbox_identity`, which was asked for before, is made of."""
        return self._adapter().parts(self._options)

    def sandbox(self) -> Sandbox:
        if self._sandbox is None:
            self._sandbox = self._adapter().open(self._options, self.listener.note)
        return self._sandbox

    def _adapter(self) -> SandboxAdapter:
        adapter: SandboxAdapter = registry.load("sandboxes", self._options.get("kind", "docker"))
        return adapter

    def close(self) -> None:
        """End the engine's process and the sandbox's containers."""
        if self._engine is not None:
            self._engine[1].close()
        if self._sandbox is not None:
            self._sandbox.close()
        self._engine = self._sandbox = None


class Listeners:
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def stage(self, step: str, task: str, total: int, done: int) -> None:
        for one in self._listeners:
            one.stage(step, task, total, done)

    def advance(self, step: str, task: str, progress: Progress) -> None:
        for one in self._listeners:
            one.advance(step, task, progress)

    def note(self, text: str) -> None:
        for one in self._listeners:
            one.note(text)

    def finish(self) -> None:
        for one in self._listeners:
            one.finish()
