"""Sample rows → results. Rows are taken one at a time; of their texts nothing is kept.

What counts:

- Only selected rows are scored. All rows count in tokens, seconds and cost, for all of them were paid.
- A void row is in no denominator, neither is one that nothing scores. The k answers to one item are averaged first;
  intervals are over items.
- An item is known by its task, split and id: one that two categories ask is one item wherever both are pooled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from evalkit.core.runfolder import Lock, RunRecord
from evalkit.core.types import SampleRow
from evalkit.report.attempts import AttemptTally, pass_at_ks
from evalkit.report.breakdown import means, rate
from evalkit.report.results import (
    Answers,
    CategoryMeasure,
    Groups,
    Macro,
    Means,
    Measure,
    Metrics,
    PerPass,
    Results,
    Seconds,
    Splits,
    StepResults,
    Tests,
    Tokens,
)
from evalkit.report.selection import SelectionTally
from evalkit.report.selection import measure as selection_of
from evalkit.report.stamps import stamps
from evalkit.report.tallies import CriterionTally, JudgingTally, LimitTally, ReadingTally, Sum, together
from evalkit.stats.intervals import mean

NO_ANSWER = frozenset({"no_answer", "no_code"})


class _Item:
    """The answers to one item so far."""

    __slots__ = ("broken_reference", "judged", "passed", "scored", "total", "unscored")

    def __init__(self) -> None:
        self.total = 0.0
        self.scored = 0
        self.passed = 0
        self.judged = 0
        self.unscored = 0
        self.broken_reference = False


class _Tally(Struct):
    """What rows add up to."""

    items: dict[tuple[str, str, str], _Item] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    prompt_tokens: Sum = field(default_factory=Sum)
    completion_tokens: Sum = field(default_factory=Sum)
    generation: Sum = field(default_factory=Sum)
    weighing: Sum = field(default_factory=Sum)
    sandbox: Sum = field(default_factory=Sum)
    usd: Sum = field(default_factory=Sum)
    limits: LimitTally = field(default_factory=LimitTally)
    readings: dict[str, ReadingTally] = field(default_factory=dict)
    criteria: dict[str, CriterionTally] = field(default_factory=dict)
    attempts: AttemptTally = field(default_factory=AttemptTally)
    judging: JudgingTally = field(default_factory=JudgingTally)

    def add(self, row: SampleRow) -> None:
        self._add_cost(row)
        if not row.selected:
            return
        self.counts["n"] += 1
        item = self.items.setdefault((row.task, row.split, row.id), _Item())
        if row.reference not in (None, "passed"):
            item.broken_reference = True
        if row.outcome == "unscored":
            self.counts["unscored"] += 1
            item.unscored += 1
            self.counts["truncated"] += row.finish_reason == "length"
        elif row.outcome == "void" or row.score is None:
            self.counts["void"] += 1
        else:
            self._add_score(row, item, row.score)

    def _add_cost(self, row: SampleRow) -> None:
        self.counts["candidates"] += 1
        if row.judged is not None:
            self.judging.add(row.judged)
        if row.sandbox_s is not None:
            self.sandbox.add(row.sandbox_s)
        if row.text is None and row.outcome == "void" and not row.earlier:
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
            if row.choice is None:  # of candidates, only the picked one comes here
                self.attempts.add(row)
        if row.tests_total is not None:
            self.counts["tests_passed"] += row.tests_passed or 0
            self.counts["tests_total"] += row.tests_total
        if row.limits is not None:
            self.limits.add(row, row.limits)
        for name, share in row.readings.items():
            self.readings.setdefault(name, ReadingTally()).add(share, score)
        for name, given in row.criteria.items():
            self.criteria.setdefault(name, CriterionTally()).add(given)
        if row.finish_reason == "length":
            self.counts["truncated"] += 1
            self.counts["truncated_failed"] += failed
        if failed or (row.error_class is not None and row.outcome == "score"):
            self.classes[row.error_class or "unknown"] += 1

    @property
    def scores(self) -> list[float]:
        """The mean over the answers of each scored item."""
        return [item.total / item.scored for item in self.items.values() if item.scored]

    def measure(self) -> Measure:
        score = rate(self.scores)
        unscored = sum(item.unscored > 0 and not item.scored for item in self.items.values())
        return Measure(
            n=len(self.items),
            scored=score.n,
            void=len(self.items) - score.n - unscored,
            unscored=unscored,
            score=score.score,
            interval=score.interval,
            method=score.method,
            metrics=self._metrics(),
        )

    def _metrics(self) -> Metrics:
        counts = self.counts
        total = counts["tests_total"]
        return Metrics(
            pass_at_1=rate([item.passed / item.judged for item in self.items.values() if item.judged]),
            answers=Answers(
                candidates=counts["candidates"],
                n=counts["n"],
                scored=counts["n"] - counts["void"] - counts["unscored"],
                passed=counts["passed"],
                void=counts["void"],
                unscored=counts["unscored"],
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
            criteria={name: criterion.measure() for name, criterion in self.criteria.items()},
            pass_at_k=pass_at_ks([(item.judged, item.passed) for item in self.items.values()], rate),
            by_answer=self.attempts.measure(),
            judging=self.judging.measure(),
            per_pass=self._per_pass(),
        )

    def _per_pass(self) -> PerPass:
        passes = math.fsum(item.passed / item.judged for item in self.items.values() if item.judged)
        amounts = (
            self.usd.value,
            together(self.generation, self.weighing, self.judging.seconds),
            self.completion_tokens.value,
        )
        return PerPass(passes, *(None if amount is None or not passes else amount / passes for amount in amounts))


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

    def means(self) -> dict[str, Means]:
        return {name: _means(values) for name, values in sorted(self.fields.items())}


def _means(values: dict[str, _Tally]) -> Means:
    return means({value: tally.scores for value, tally in values.items()})


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
    selection: SelectionTally = field(default_factory=SelectionTally)

    def add(self, row: SampleRow) -> None:
        self.tally.add(row)
        self.groups.add(row)
        self.selection.add(row)

    def measure(self) -> CategoryMeasure:
        total = self.tally.measure()
        known = {name: getattr(total, name) for name in Measure.__struct_fields__}
        return CategoryMeasure(
            **known,
            task=self.task,
            split=self.split,
            groups=self.groups.measure(),
            group_means=self.groups.means(),
            selection=selection_of([self.selection]),
        )


class _StepTally(Struct):
    model: str
    tally: _Tally = field(default_factory=_Tally)
    groups: _GroupTally = field(default_factory=_GroupTally)
    categories: dict[str, _CategoryTally] = field(default_factory=dict)
    splits: dict[str, dict[str, _Tally]] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.tally.add(row)
        self.groups.add(row)
        self.splits.setdefault(row.task, {}).setdefault(row.split, _Tally()).add(row)
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
            group_means=self.groups.means(),
            splits={
                task: Splits({split: tally.measure() for split, tally in splits.items()}, _means(splits))
                for task, splits in self.splits.items()
                if len(splits) > 1
            },
            selection=selection_of(category.selection for category in self.categories.values()),
        )


def asked_models(lock: Lock) -> dict[str, str]:
    """By step, the route that it asks, whose models its rows name."""
    return {task.step: task.route for task in lock.tasks if task.route}


class Collector:
    """Takes rows one at a time; `results` may be asked at any time. `models` says what was asked, by step, where that
    is not what its rows say."""

    def __init__(self, models: Mapping[str, str] | None = None) -> None:
        self._models = models or {}
        self._steps: dict[str, _StepTally] = {}
        self._in_process: dict[str, None] = {}  # tasks, in order

    def add(self, row: SampleRow) -> None:
        if row.in_process:
            self._in_process[row.task] = None
        step = self._steps.get(row.step)
        if step is None:
            step = self._steps[row.step] = _StepTally(self._models.get(row.step, row.model))
        step.add(row)

    def results(self, run: RunRecord, *, asks: bool = True) -> Results:
        """`asks` False says that no step of the run asks anything: having no samples, it is whole."""
        steps = {name: step.measure() for name, step in self._steps.items()}
        return Results(
            name=run.name,
            stamps=stamps(run, steps if asks else None, self._in_process),
            order=tuple(steps),
            steps=steps,
        )


def collect(rows: Iterable[SampleRow], run: RunRecord) -> Results:
    """The results of all rows of a run."""
    collector = Collector()
    for row in rows:
        collector.add(row)
    return collector.results(run)
