"""What a plan is: the steps in order, with what each costs and what the store has of it already."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from evalkit.core.ports import Notify, Store
from evalkit.core.runfolder import Lock
from evalkit.spec.model import Spec
from evalkit.steps.bench import Bench


class Sources(Struct, frozen=True):
    """Where a plan looks: data folders, the store, the sandbox's identity (None: no sandbox engine answers), the lock
    of the run before (for the reason of a miss), and the salt of a `--fresh` run."""

    store: Store
    notify: Notify
    folders: tuple[Path, ...] = ()
    identity: str | None = None
    previous: Lock | None = None
    salt: str = ""


class PlannedTask(Struct, frozen=True):
    """One task of a step: `requests` completions over `items` items, `cached` of them stored."""

    category: str
    task: str
    split: str
    items: int
    requests: int
    cached: int


class PlannedStep(Struct, frozen=True):
    """One step with its cost. Tokens count only what is not stored; `max_completion_tokens` is the ceiling.
    Of a later turn, whose prompt will hold answers that are not there yet, the rest of its prompt is counted.

    `programs_cached` is None where it cannot be known: nothing is executed, or no sandbox engine answers. `references`
    are programs known to be right whose own time limits others, `references_cached` those of them that are timed
    already; None where that cannot be known. `continuations` are to be weighed, and cost no completion tokens.
    """

    name: str
    verb: str
    needs: tuple[str, ...]
    key: str
    requests: int
    cached: int
    programs_cached: int | None
    prompt_tokens: int
    max_completion_tokens: int
    tokens_exact: bool
    why: str
    tasks: tuple[PlannedTask, ...]
    benches: tuple[Bench, ...]
    references: int = 0
    references_cached: int | None = None
    continuations: int = 0


class Plan(Struct, frozen=True):
    """A spec ready to be executed, steps in an order that respects what they need."""

    spec: Spec
    steps: tuple[PlannedStep, ...]

    @property
    def executes(self) -> bool:
        return any(bench.executes for bench in self.benches)

    @property
    def benches(self) -> tuple[Bench, ...]:
        """Everything that is asked, in order."""
        return tuple(bench for step in self.steps for bench in step.benches)
