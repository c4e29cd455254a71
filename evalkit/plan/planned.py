"""What a plan is: the steps in order, with what each costs and what the store has of it already."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.ports import Notify, Store
from evalkit.core.runfolder import Lock, TrainingLock
from evalkit.spec.model import Spec
from evalkit.steps.bench import Bench
from evalkit.steps.pairing import Pairing


class Sources(Struct, frozen=True):
    """Where a plan looks: data folders, the store, the sandbox's identity (None: no sandbox engine answers), the lock
    of the run before (for the reason of a miss), the salt of a `--fresh` run, and whether the user limits the items."""

    store: Store
    notify: Notify
    folders: tuple[Path, ...] = ()
    identity: str | None = None
    previous: Lock | None = None
    salt: str = ""
    limited: bool = False


class PlannedTask(Struct, frozen=True):
    """One task of a step: `requests` completions over `items` items, `cached` of them stored.

    `model` is the one that is asked where the step has a route. `at_most`: it may be less, because answers of another
    model decide.
    """

    category: str
    task: str
    split: str
    items: int
    requests: int
    cached: int
    model: str = ""
    at_most: bool = False


class PlannedJudging(Struct, frozen=True):
    """What one judge of a step is asked: `requests` questions about single answers, or games about pairs where it
    `compares`; `cached` of them are answered.

    `candidates_ahead`, or so many pairs, are not written yet: what will be asked about them is a ceiling. Tokens count
    only what is not stored; `max_completion_tokens` is 0 where yes and no are weighed, as `continuations`. `usd` is
    what they cost at most, None where that is not known.
    """

    judge: str
    model: str
    requests: int
    cached: int
    candidates_ahead: int
    prompt_tokens: int
    max_completion_tokens: int
    continuations: int
    tokens_exact: bool
    usd: float | None = None
    compares: bool = False


class Foreseen(Struct, frozen=True):
    """What is known of an expectation before the run. `expected` is the condition as the spec has it.

    `possible` is false where no outcome over so many `items` can confirm it. Of a difference: fewer than `flips` items
    that move one way cannot reach p < 0.05, and `visible` is the difference that so many make, None where an item has
    several answers. `pairs_needed` is about how many items show that two steps which do not differ are within a margin,
    with a power of 80 % where one item in ten differs.
    """

    category: str
    expected: str
    items: int
    possible: bool
    flips: int | None = None
    visible: float | None = None
    pairs_needed: int | None = None


class PlannedStep(Struct, frozen=True, kw_only=True):
    """One step with its cost. Tokens count only what is not stored; `max_completion_tokens` is the ceiling.
    Of a later turn, whose prompt will hold answers that are not there yet, the rest of its prompt is counted.

    `programs_cached` is None where it cannot be known: nothing is executed, or no sandbox engine answers. `references`
    are programs known to be right whose own time limits others, `references_cached` those of them that are timed
    already; None where that cannot be known. `continuations` are to be weighed, and cost no completion tokens.
    `judging` is what judges are asked beside all that.
    `foreseen` is what can be said of what the step is expected to show.
    `training` is the training set that a diagnosis is about, as it was read. `pairing` is what judges compare. `usd` is
    what is to ask costs at most, without the models that are named in `unpriced`, of whose answers that is not known.
    """

    name: str
    verb: str
    needs: tuple[str, ...]
    key: str
    requests: int = 0
    cached: int = 0
    programs_cached: int | None = None
    prompt_tokens: int = 0
    max_completion_tokens: int = 0
    tokens_exact: bool = True
    why: str
    tasks: tuple[PlannedTask, ...] = ()
    benches: tuple[Bench, ...] = ()
    references: int = 0
    references_cached: int | None = None
    continuations: int = 0
    judging: tuple[PlannedJudging, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    usd: float = 0.0
    unpriced: tuple[str, ...] = ()
    training: TrainingLock | None = None
    pairing: Pairing | None = None


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

    @property
    def pairings(self) -> tuple[Pairing, ...]:
        """Everything that judges compare, in order."""
        return tuple(step.pairing for step in self.steps if step.pairing is not None)

    @property
    def parts(self) -> tuple[Bench, ...]:
        """The same in the order of the rows: a bench for each category of a step and each model that is asked there."""
        return tuple(
            replace(bench, arms=(arm,))
            for step in self.steps
            for category in self._categories(step)
            for bench in step.benches
            for arm in bench.arms
            if arm.category == category
        )

    def _categories(self, step: PlannedStep) -> list[str]:
        suites = {bench.step.suite for bench in step.benches}
        return [use.category for suite in suites for use in self.spec.suites[suite]]
