"""Sample rows → results. Rows are taken one at a time; of their texts nothing is kept.

What counts:

- Only selected rows are scored. All rows count in tokens, seconds and cost, for all of them were paid.
- A void row is in no denominator. The k answers to one item are averaged first; intervals are over items.
- An item is known by its task, split and id: one that two categories ask is one item wherever both are pooled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Limits, SampleRow, Share
from evalkit.report import numbers
from evalkit.report.results import (
    Answers,
    CategoryMeasure,
    Groups,
    LimitUse,
    Macro,
    Measure,
    Metrics,
    Rate,
    Reading,
    Results,
    Seconds,
    StepResults,
    Tests,
    Tokens,
)
from evalkit.stats.intervals import estimate, mean

NEAR = 0.8
"""The share of a time limit from which on a program is near it: a machine a quarter slower decides otherwise."""
NO_ANSWER = frozenset({"no_answer", "no_code"})


class _Item:
    """The answers to one item so far."""

    __slots__ = ("broken_reference", "judged", "passed", "scored", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.scored = 0
        self.passed = 0
        self.judged = 0
        self.broken_reference = False


class _Sum(Struct):
    """A sum that is unknown as soon as one part is."""

    total: float = 0.0
    parts: int = 0
    unknown: bool = False

    def add(self, value: float | None) -> None:
        if value is None:
            self.unknown = True
        else:
            self.total += value
            self.parts += 1

    @property
    def value(self) -> float | None:
        return None if self.unknown or not self.parts else self.total


class _Span(Struct):
    """The smallest and the largest of some numbers."""

    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        self.low = min(self.low, value)
        self.high = max(self.high, value)

    @property
    def value(self) -> tuple[float, float] | None:
        return (self.low, self.high) if self.low <= self.high else None


class _LimitTally(Struct):
    """How near programs came to their time limits, and which these were."""

    counts: Counter[str] = field(default_factory=Counter)
    cpu: _Span = field(default_factory=_Span)
    wall: _Span = field(default_factory=_Span)

    def add(self, row: SampleRow, limits: Limits) -> None:
        self.counts["programs"] += 1
        self.cpu.add(limits.cpu_s)
        self.wall.add(limits.wall_s)
        if near_limit(row, limits):
            self.counts["near"] += 1
            self.counts["timeouts"] += row.error_class == "timeout"
            self.counts["passed"] += row.outcome == "pass"

    def measure(self, broken_references: int) -> LimitUse:
        return LimitUse(
            programs=self.counts["programs"],
            near=self.counts["near"],
            timeouts=self.counts["timeouts"],
            passed=self.counts["passed"],
            cpu_s=self.cpu.value,
            wall_s=self.wall.value,
            broken_references=broken_references,
        )


def near_limit(row: SampleRow, limits: Limits) -> bool:
    """Whether a program used most of the time that it had, or more."""
    return (
        row.error_class == "timeout"
        or (row.cpu_s is not None and row.cpu_s >= NEAR * limits.cpu_s)
        or (row.sandbox_s is not None and row.sandbox_s >= NEAR * limits.wall_s)
    )


class _ReadingTally(Struct):
    """What one other rule makes of answers."""

    answers: int = 0
    part: float = 0.0
    of: int = 0
    otherwise: int = 0

    def add(self, share: Share, score: float) -> None:
        self.answers += 1
        self.part += share.part
        self.of += share.of
        self.otherwise += (share.part == share.of) != (score == 1.0)

    def measure(self) -> Reading:
        share = self.part / self.of if self.of else None
        return Reading(self.answers, self.part, self.of, share, self.otherwise)


class _Tally(Struct):
    """What rows add up to."""

    items: dict[tuple[str, str, str], _Item] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    prompt_tokens: _Sum = field(default_factory=_Sum)
    completion_tokens: _Sum = field(default_factory=_Sum)
    generation: _Sum = field(default_factory=_Sum)
    weighing: _Sum = field(default_factory=_Sum)
    sandbox: _Sum = field(default_factory=_Sum)
    usd: _Sum = field(default_factory=_Sum)
    limits: _LimitTally = field(default_factory=_LimitTally)
    readings: dict[str, _ReadingTally] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self._add_cost(row)
        if not row.selected:
            return
        self.counts["n"] += 1
        item = self.items.setdefault((row.task, row.split, row.id), _Item())
        if row.reference not in (None, "passed"):
            item.broken_reference = True
        if row.outcome == "void" or row.score is None:
            self.counts["void"] += 1
        else:
            self._add_score(row, item, row.score)

    def _add_cost(self, row: SampleRow) -> None:
        self.counts["candidates"] += 1
        if row.sandbox_s is not None:
            self.sandbox.add(row.sandbox_s)
        if row.text is None and row.outcome == "void":
            return  # nothing came back, so nothing is known of it
        self.prompt_tokens.add(row.prompt_tokens)
        if row.likelihoods:
            self.counts["weighed"] += 1
            self.weighing.add(row.seconds)
        else:
            self.completion_tokens.add(row.completion_tokens)
            self.generation.add(row.seconds)
        self.usd.add(row.usd)

    def _add_score(self, row: SampleRow, item: _Item, score: float) -> None:
        item.total += score
        item.scored += 1
        failed = row.outcome == "fail"
        self.counts["passed"] += row.outcome == "pass"
        if row.outcome != "score":
            item.judged += 1
            item.passed += not failed
        if row.tests_total is not None:
            self.counts["tests_passed"] += row.tests_passed or 0
            self.counts["tests_total"] += row.tests_total
        if row.limits is not None:
            self.limits.add(row, row.limits)
        for name, share in row.readings.items():
            self.readings.setdefault(name, _ReadingTally()).add(share, score)
        if row.finish_reason == "length":
            self.counts["truncated"] += 1
            self.counts["truncated_failed"] += failed
        if failed or (row.error_class is not None and row.outcome == "score"):
            self.classes[row.error_class or "unknown"] += 1

    def measure(self) -> Measure:
        items = self.items.values()
        score = _rate([item.total / item.scored for item in items if item.scored])
        return Measure(
            n=len(self.items),
            scored=score.n,
            void=len(self.items) - score.n,
            score=score.score,
            interval=score.interval,
            method=score.method,
            metrics=self._metrics(),
        )

    def _metrics(self) -> Metrics:
        counts = self.counts
        total = counts["tests_total"]
        return Metrics(
            pass_at_1=_rate([item.passed / item.judged for item in self.items.values() if item.judged]),
            answers=Answers(
                candidates=counts["candidates"],
                n=counts["n"],
                scored=counts["n"] - counts["void"],
                passed=counts["passed"],
                void=counts["void"],
                weighed=counts["weighed"],
            ),
            tests=Tests(counts["tests_passed"], total, counts["tests_passed"] / total if total else None),
            tokens=Tokens(_whole(self.prompt_tokens.value), _whole(self.completion_tokens.value)),
            seconds=Seconds(self.generation.value, self.sandbox.value, self.weighing.value),
            truncated=counts["truncated"],
            truncated_failed=counts["truncated_failed"],
            no_answer=sum(self.classes[name] for name in NO_ANSWER),
            classes=dict(sorted(self.classes.items(), key=lambda pair: (-pair[1], pair[0]))),
            usd=self.usd.value,
            limits=self.limits.measure(sum(item.broken_reference for item in self.items.values())),
            readings={name: reading.measure() for name, reading in self.readings.items()},
        )


def _rate(scores: Sequence[float]) -> Rate:
    found = estimate(scores)
    if found is None:
        return Rate(0, None, None, None)
    return Rate(found.n, found.value, (found.interval.low, found.interval.high), found.method)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


class _GroupTally(Struct):
    fields: dict[str, dict[str, _Tally]] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        for name, value in row.groups.items():
            self.fields.setdefault(name, {}).setdefault(value, _Tally()).add(row)

    def measure(self) -> Groups:
        return {
            name: {value: values[value].measure() for value in sorted(values, key=_natural)}
            for name, values in sorted(self.fields.items())
        }


_LEVELS = {word: rank for rank, word in enumerate(("trivial", "easy", "simple", "medium", "hard", "expert"))}


def _natural(value: str) -> tuple[int, float, str]:
    """Levels by their difficulty, then numbers by their size, then words."""
    if value.lower() in _LEVELS:
        return (0, _LEVELS[value.lower()], value)
    try:
        number = float(value)
    except ValueError:
        return (2, 0.0, value)
    return (1, number, value) if math.isfinite(number) else (2, 0.0, value)


class _CategoryTally(Struct):
    task: str
    split: str
    tally: _Tally = field(default_factory=_Tally)
    groups: _GroupTally = field(default_factory=_GroupTally)

    def add(self, row: SampleRow) -> None:
        self.tally.add(row)
        self.groups.add(row)

    def measure(self) -> CategoryMeasure:
        total = self.tally.measure()
        known = {name: getattr(total, name) for name in Measure.__struct_fields__}
        return CategoryMeasure(**known, task=self.task, split=self.split, groups=self.groups.measure())


class _StepTally(Struct):
    model: str
    tally: _Tally = field(default_factory=_Tally)
    groups: _GroupTally = field(default_factory=_GroupTally)
    categories: dict[str, _CategoryTally] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.tally.add(row)
        self.groups.add(row)
        self.categories.setdefault(row.category, _CategoryTally(row.task, row.split)).add(row)

    def measure(self) -> StepResults:
        categories = {name: category.measure() for name, category in self.categories.items()}
        scores = [category.score for category in categories.values() if category.score is not None]
        return StepResults(
            model=self.model,
            order=tuple(categories),
            all=self.tally.measure(),
            macro=Macro(mean(scores), len(scores)),
            categories=categories,
            groups=self.groups.measure(),
        )


class Collector:
    """Takes rows one at a time; `results` may be asked at any time."""

    def __init__(self) -> None:
        self._steps: dict[str, _StepTally] = {}
        self._in_process: dict[str, None] = {}  # tasks, in order

    def add(self, row: SampleRow) -> None:
        if row.in_process:
            self._in_process[row.task] = None
        step = self._steps.get(row.step)
        if step is None:
            step = self._steps[row.step] = _StepTally(row.model)
        step.add(row)

    def results(self, run: RunRecord) -> Results:
        steps = {name: step.measure() for name, step in self._steps.items()}
        return Results(
            name=run.name,
            stamps=(*_warnings(run, self._in_process), *_stamps(run, steps)),
            order=tuple(steps),
            steps=steps,
        )


def collect(rows: Iterable[SampleRow], run: RunRecord) -> Results:
    """The results of all rows of a run."""
    collector = Collector()
    for row in rows:
        collector.add(row)
    return collector.results(run)


def _stamps(run: RunRecord, steps: dict[str, StepResults]) -> tuple[str, ...]:
    stamps = list(_void_stamps(run, steps))
    if run.state != "complete" and not stamps:
        why = f": {run.error}" if run.error else ""
        stamps.append(f"INCOMPLETE: the run ended as '{run.state}'{why}. Run the same command again to finish it.")
    if not steps:
        stamps.append("INCOMPLETE: nothing was measured; this run has no samples.")
    if run.limit is not None:
        stamps.append(
            f"PARTIAL: a partial run, limited to {run.limit} items per task. These are not the scores of its spec."
        )
    if run.only:
        stamps.append(f"PARTIAL: a partial run, only of {', '.join(run.only)}.")
    return tuple(stamps)


def _warnings(run: RunRecord, in_process: Iterable[str]) -> Iterator[str]:
    """What must stand above every number."""
    if run.sandbox_warning:
        yield run.sandbox_warning
    tasks = ", ".join(in_process)
    if tasks:
        yield (
            f"REACHABLE VERDICTS: the tests of {tasks} ran in the programs' own process (in_process): a program that "
            "cheats can reach its verdict there."
        )


def _void_stamps(run: RunRecord, steps: dict[str, StepResults]) -> Iterator[str]:
    for name, step in steps.items():
        answers = step.all.metrics.answers
        if answers.void > run.void_budget * answers.n:
            yield (
                f"INCOMPLETE: {numbers.of(answers.void, answers.n)} answers of step {name} are void "
                f"({numbers.pct(answers.void / answers.n)}, the budget is {numbers.pct(run.void_budget)}). "
                "Run the same command again: only what is missing is asked for."
            )
