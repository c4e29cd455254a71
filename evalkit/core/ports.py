"""What the steps ask of the outside world. Adapters implement these; tests run one suite over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

from evalkit.core.judging import Question
from evalkit.core.selection import Candidate, Valued
from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Json,
    Model,
    Program,
    Progress,
    Prompt,
    Reference,
    Request,
    Sample,
    Score,
    Void,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

Notify = Callable[[str], None]
"""Tells the user what takes long: one sentence, no line break."""


class Rendered(Struct, frozen=True):
    """A prompt as a model gets it: its text with the template's special tokens, and how many tokens that is.

    `template_sha256` is the digest of the chat template; None where the model is asked in plain text.
    """

    text: str
    tokens: int | None
    template_sha256: str | None


class Engine(Protocol):
    """A model that is loaded and answers. Used by one thread at a time."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Answers as they finish, in any order, exactly one for each request.

        A request with `continuations` is answered by their likelihoods, one for each, finite, in the request's order.
        Raises ContractError when the back end used other sampling parameters than were asked for.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class SummedUp(Protocol):
    """An engine that can say how it worked: start-up, caches, what it had to do twice. No number of a report is it."""

    def summary(self) -> str:
        """One sentence about everything since it was opened; it is told when the engine is closed."""
        ...


class EngineAdapter(Protocol):
    """One kind of engine, registered under `evalkit.engines`. Importing its module must be cheap."""

    isolated: bool
    """True: `open` runs in a worker process, so that the parent never imports the model library."""

    recorded: bool
    """True: the answers were given before, and how they were sampled may not be known (`effective` None). Every other
    engine says of each answer with which parameters it was made."""

    remote: bool
    """True: a server answers, that asks its own price. Time of this machine costs nothing then, and says nothing."""

    def fingerprint(self, model: Model) -> Fingerprint:
        """What decides this model's answers. Cheap, without the model library; may fetch small files.

        Raises PrerequisiteError (a package, a device, the weights are missing) or SpecError.
        """
        ...

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        """Tokens of each prompt by the model's own tokenizer, or None where that is not at hand yet."""
        ...

    def rendered(self, model: Model, prompt: Prompt) -> Rendered | None:
        """The prompt as the model would get it, or None where that cannot be said without asking it."""
        ...

    def check_weighing(self, model: Model) -> None:
        """Raises SpecError, with what to do, for a model that cannot say how likely a continuation is.

        Asked before anything is, where a task needs it. As cheap as `fingerprint`.
        """
        ...

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        """What makes this model's answers obey JSON Schemas, each as its text: names and versions, for their keys.

        Asked before anything is, where a bench has a format. Raises PrerequisiteError where a package is missing, and
        SpecError for a schema that the engine could only obey in part. As cheap as `fingerprint`.
        """

    def batched(self, model: Model, answers: int) -> Model:
        """The same model, to make at most so many answers at a time: its fingerprint is the same, its sums may not "
        "be."""
        ...

    def open(self, model: Model, notify: Notify) -> Engine:
        """Load the model. Raises PrerequisiteError with the line to install when something is missing."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """An EngineAdapter that may want several workers for one model."""

    def replicas(self, model: Model) -> Sequence[Model]:
        """The model as each worker opens it: one of them, or one for each device or group of devices."""
        ...


class Sandbox(Protocol):
    """A pool of places where programs run. Thread-safe."""

    def submit(self, program: Program) -> Future[Execution | Void]:
        """Queue a program; blocks while the queue is full. The future never raises: what the sandbox
        itself could not do is Void."""
        ...

    def close(self) -> None:
        """Finish nothing more and leave nothing behind."""
        ...


class SandboxAdapter(Protocol):
    """One kind of sandbox, registered under `evalkit.sandboxes`. Importing its module must be cheap."""

    def prepare(self, options: dict[str, Json], notify: Notify) -> None:
        """Make `identity` answerable: build what is missing. Raises PrerequisiteError when no engine answers."""
        ...

    def identity(self, options: dict[str, Json]) -> str:
        """What decides verdicts besides the program: image digest and worker digest, as one digest.

        Raises PrerequisiteError when no engine answers or something is not built yet.
        """
        ...

    def parts(self, options: dict[str, Json]) -> dict[str, Json]:
        """What `identity` is made of, named for readers of the lock. Raises PrerequisiteError like it."""
        ...

    def open(self, options: dict[str, Json], notify: Notify) -> Sandbox:
        """Start the pool, building the image where it is missing."""
        ...

    def warning(self, options: dict[str, Json]) -> str:
        """A sentence that must stand above every number that comes from this sandbox; empty for none."""
        ...


class Scorer(Protocol):
    """A rule that turns an answer into a score. Registered under `evalkit.scorers`, made from task-file options.

    A scorer that needs the answer executed returns a Program from `program`; the step runs it and hands the
    Execution to `score`. All others return None and get None.
    """

    executes: bool
    """True: `program` returns programs, so a sandbox is needed."""
    reads_gold: bool
    """True: it compares with what is known to be right, or runs tests. Such a rule cannot pick among answers."""

    def __init__(self, options: dict[str, Json]) -> None: ...

    def check(self, sample: Sample) -> None:
        """Raises DataError for a sample that cannot be scored, whatever the answer: before anything is asked."""
        ...

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        """The program that judges this answer; its `key` is left empty, the step fills it in."""
        ...

    def reference(self, sample: Sample) -> Reference | None:
        """The program whose own time limits those that answer this sample; None: the declared limits hold.

        Asked only of scorers that execute. The step runs it once, and each program with the limit that follows.
        """
        ...

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        """What the model is not to write but to weigh: with any, the completion holds their likelihoods, no text."""
        ...

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score: ...


class Selector(Protocol):
    """A rule that ranks several answers to one item. Registered under `evalkit.selectors`, made from `select` options.

    It sees the candidates and nothing else: no gold answer, no test, no verdict. Only an `oracle` gets verdicts, and is
    called so wherever its numbers stand.
    """

    oracle: bool

    def __init__(self, options: dict[str, Json]) -> None: ...

    def questions(self, sample: Sample, candidate: Candidate) -> tuple[Question, ...]:
        """What a judge is asked about a candidate; its answers are the `marks` that `values` finds in it."""
        ...

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        """One for each candidate, in their order."""
        ...


class Store(Protocol):
    """The memory of all runs of a project. Everything put is durable when the call returns."""

    def completions(self, keys: Sequence[str]) -> dict[str, Completion]: ...

    def put_completions(self, completions: Sequence[Completion]) -> None: ...

    def executions(self, keys: Sequence[str]) -> dict[str, Execution]: ...

    def put_executions(self, executions: Sequence[Execution]) -> None: ...

    def known(self, table: str, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that the table `completions` or `executions` has."""
        ...

    def voids(self, keys: Sequence[str]) -> dict[str, Void]: ...

    def put_voids(self, voids: Sequence[Void]) -> None: ...

    def artifact(self, digest: str) -> Path | None: ...


class Listener(Protocol):
    """Hears how a run goes. Must not raise; no number of the report comes from it."""

    def stage(self, step: str, task: str, total: int, done: int) -> None:
        """A task of a step begins: `total` completions wanted, `done` of them stored already."""
        ...

    def advance(self, step: str, task: str, progress: Progress) -> None:
        """A task went on by so much."""
        ...

    def note(self, text: str) -> None:
        """Something a user waits for or should know: one sentence."""
        ...

    def finish(self) -> None: ...


class Tools(Protocol):
    """What a step works with. Engines and sandboxes are started when first asked for, once a run."""

    @property
    def store(self) -> Store: ...

    @property
    def listener(self) -> Listener: ...

    @property
    def sandbox_identity(self) -> str:
        """What the sandbox is made of; builds its image where that is missing. Raises PrerequisiteError."""
        ...

    def engine(self, model: Model) -> Engine: ...

    def sandbox(self) -> Sandbox: ...


class ExportTable(Protocol):
    """One table of a run: its name, its columns, and its rows, which can be read once, in order."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> Iterator[tuple[Json, ...]]: ...


class Exporter(Protocol):
    """A form in which a run's tables leave evalkit. Registered under `evalkit.exporters`."""

    def export(self, tables: Iterable[ExportTable], target: Path) -> list[Path]:
        """Write the tables to `target`, a file or a folder as the form has it, whole or not at all; what was written.

        Raises PrerequisiteError when a package is missing.
        """
        ...

    def target(self, name: str) -> str:
        """What the file or folder is called for a run of this name."""
        ...
