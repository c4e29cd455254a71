"""Does a selector's value tell right from wrong? It has to among the candidates of one item, for that is where it
picks.

Between items a value may follow how easy they are, and pick no better than chance: so the pooled AUC stands beside the
AUC within items and is never taken for it. Where no item is mixed the latter cannot be estimated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats import bestofn
from evalkit.stats.bootstrap import mean_interval
from evalkit.stats.intervals import Interval, mean
from evalkit.stats.ranking import (
    WithinAuc,
    auc,
    auc_interval,
    within_auc,
    within_auc_interval,
    within_auc_permutation_p,
)
from evalkit.steps.diagnoses.facts import Fact, Group, Groups, named

_LINES = 40
_CHANCE = 0.5
_ALPHA = 0.05
_VALIDITY = (
    Column("of"),
    Column("AUC within items", "number"),
    Column("95 % interval", "range"),
    Column("p", "p"),
    Column("pairs", "count"),
    Column("mixed items", "count"),
    Column("pooled AUC", "number"),
    Column("its interval", "range"),
    Column("mean of passes", "number"),
    Column("mean of failures", "number"),
)
_VALIDITY_ABOUT = (
    "The AUC within items is the chance that of a pass and a failure of the same item the pass has the higher value, "
    "ties "
    "counted half; 0.5 knows nothing. p comes from dealing the passes of each item out anew. The pooled AUC also "
    "compares "
    "answers to different items: it is high where the value knows easy items from hard ones, which picks nothing."
)
_NOT_ESTIMABLE = (
    "The AUC within items is not estimable: no item has both a passing and a failing candidate. Whether more points "
    "mean a "
    "better answer cannot be said from this run."
)


class _Ranked:
    """One value over the judged candidates: by item, value and verdict."""

    def __init__(self, name: str, groups: tuple[tuple[tuple[float, bool], ...], ...]) -> None:
        self.name, self.groups = name, groups

    @cached_property
    def within(self) -> WithinAuc:
        return within_auc(self.groups)

    @cached_property
    def interval(self) -> Interval | None:
        return within_auc_interval(self.groups)

    @cached_property
    def p(self) -> float | None:
        return within_auc_permutation_p(self.groups)

    @property
    def pooled(self) -> float | None:
        pairs = [pair for group in self.groups for pair in group]
        return auc([value for value, _ in pairs], [passed for _, passed in pairs])

    def line(self) -> tuple[object, ...]:
        within = self.within
        pairs = [pair for group in self.groups for pair in group]
        scores, labels = [value for value, _ in pairs], [passed for _, passed in pairs]
        pooled = auc_interval(scores, labels)
        passes, failures = ([value for value, one in pairs if one is passed] for passed in (True, False))
        return (
            self.name,
            within.value,
            self.interval,
            self.p,
            within.pairs,
            within.mixed,
            self.pooled,
            pooled.interval if pooled is not None else None,
            mean(passes),
            mean(failures),
        )


class RubricValidity:
    """The kind `rubric`: of any selector that gives values."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._of = lock.reads["of"]
        self._groups = Groups()
        self._by = ""

    def add(self, row: SampleRow) -> None:
        self._groups.add(row)
        if row.choice is not None:
            self._by = row.choice.by

    def result(self) -> Diagnosis:
        value = _ranked(self._by or "value", self._groups.whole, lambda fact: fact.value)
        names = dict.fromkeys(name for group in self._groups for fact in group.facts for name in fact.criteria)
        criteria = [_ranked(name, self._groups.whole, _criterion(name)) for name in names]
        lines = tuple(one.line() for one in (value, *criteria))
        judged = [group for group in self._groups if group.judged and any(fact.selected for fact in group.judged)]
        rates = _Rates(judged)
        mixed = [group for group in judged if group.mixed]
        estimable = value.within.value is not None
        return Diagnosis(
            diagnosis="rubric",
            of=(self._of,),
            metrics=_metrics(value) | rates.metrics(),
            tables=(
                DiagnosisTable("validity", "Does the value rank passes first", _VALIDITY, lines, _VALIDITY_ABOUT),
                rates.table(),
                *([_mixed_table(mixed)] if mixed else []),
            ),
            figures=(_figure(value),) if estimable else (),
            raised=tuple(_raised(value, rates, mixed)),
            notes=() if estimable else (_NOT_ESTIMABLE,),
        )


def _criterion(name: str) -> Callable[[Fact], float | None]:
    return lambda fact: fact.criteria.get(name)


def _ranked(name: str, groups: Sequence[Group], value: Callable[[Fact], float | None]) -> _Ranked:
    found = []
    for group in groups:
        pairs = [(value(fact), fact.passed) for fact in group.judged]
        found.append(tuple((known, bool(passed)) for known, passed in pairs if known is not None))
    return _Ranked(name, tuple(group for group in found if group))


def _metrics(value: _Ranked) -> dict[str, float | None]:
    within, interval = value.within, value.interval
    return {
        "within_auc": within.value,
        "within_auc_low": interval.low if interval is not None else None,
        "within_auc_high": interval.high if interval is not None else None,
        "within_auc_p": value.p,
        "pairs": float(within.pairs),
        "mixed_items": float(within.mixed),
        "pooled_auc": value.pooled,
    }


class _Rates:
    """What picking gave, and what it could have given, over the same candidates."""

    def __init__(self, judged: Sequence[Group]) -> None:
        self.judged = judged
        self._verdicts = [[fact.passed is True for fact in group.judged] for group in judged]
        self._picks = [next(place for place, fact in enumerate(group.judged) if fact.selected) for group in judged]
        self.mean = bestofn.random_rate(self._verdicts)
        self.selected = bestofn.selected_rate(self._verdicts, self._picks)
        self.oracle = bestofn.oracle_rate(self._verdicts)
        self.worst = bestofn.worst_rate(self._verdicts)
        self.efficiency = bestofn.efficiency(self._verdicts, self._picks)
        self.p = bestofn.random_pick_p(self._verdicts, self._picks)

    @property
    def gain(self) -> Interval | None:
        return mean_interval(bestofn.selection_gains(self._verdicts, self._picks))

    def metrics(self) -> dict[str, float | None]:
        gap = None if self.oracle is None or self.selected is None else self.oracle - self.selected
        return {
            "mean": self.mean,
            "selected": self.selected,
            "oracle": self.oracle,
            "worst": self.worst,
            "efficiency": self.efficiency,
            "gap_to_oracle": gap,
            "selected_p": self.p,
        }

    def table(self) -> DiagnosisTable:
        first = mean([float(group.judged[0].passed is True) for group in self.judged])
        lines = (
            ("selected", self.selected, _minus(self.selected, self.mean)),
            ("mean of the candidates", self.mean, 0.0 if self.mean is not None else None),
            ("first candidate", first, _minus(first, self.mean)),
            ("oracle", self.oracle, _minus(self.oracle, self.mean)),
            ("worst", self.worst, _minus(self.worst, self.mean)),
        )
        about = (
            f"Over {len(self.judged)} items, all from the same candidates. The mean is what a random pick gives, the "
            f"oracle "
            "picks a pass wherever there is one, the worst a failure. "
        )
        if self.efficiency is None:
            about += "Efficiency, (selected - mean) / (oracle - mean), is not defined: no item is mixed."
        else:
            about += f"Efficiency, (selected - mean) / (oracle - mean), is {self.efficiency:.2f}"
            about += f"; p that the picks are random: {self.p:.3f}." if self.p is not None else "."
        columns = (Column("pick"), Column("solved", "share"), Column("against the mean", "points"))
        return DiagnosisTable("selection", "What the selection was worth", columns, lines if self.judged else (), about)


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _mixed_table(mixed: Sequence[Group]) -> DiagnosisTable:
    lines = []
    for group in mixed[:_LINES]:
        passes, failures = (
            [_shown(fact) for fact in group.judged if fact.passed is passed] for passed in (True, False)
        )
        picked = next((fact for fact in group.judged if fact.selected), None)
        lines.append((group.name, passes, failures, None if picked is None else "pass" if picked.passed else "fail"))
    columns = (Column("item"), Column("passes", "texts"), Column("failures", "texts"), Column("picked"))
    about = "The values of the candidates that passed and of those that failed."
    if len(mixed) > _LINES:
        about += f" The first {_LINES} of {len(mixed)}."
    return DiagnosisTable("mixed", "Items where a choice matters", columns, tuple(lines), about)


def _shown(fact: Fact) -> str:
    return "no value" if fact.value is None else f"{fact.value:.4g}"


def _figure(value: _Ranked) -> Figure:
    """The receiver operating characteristic over pairs of one item: which share of its failures is above a pass."""
    pairs = [pair for group in value.groups if len({passed for _, passed in group}) == 2 for pair in group]
    passes, failures = ([one for one, passed in pairs if passed is wanted] for wanted in (True, False))
    cuts = sorted({one for one, _ in pairs}, reverse=True)
    points = [(0.0, 0.0)]
    points += [
        (sum(one >= cut for one in failures) / len(failures), sum(one >= cut for one in passes) / len(passes))
        for cut in cuts
    ]
    x, y = zip(*points, strict=True)
    return Figure(
        name="roc",
        kind="lines",
        title="Passes and failures above a value, in mixed items",
        x_label="share of failures above it",
        y_label="share of passes above it",
        series=(Series(value.name, x, y), Series("knows nothing", (0.0, 1.0), (0.0, 1.0))),
        percent=("x", "y"),
    )


def _raised(value: _Ranked, rates: _Rates, mixed: Sequence[Group]) -> list[Raised]:
    found = []
    within, p = value.within, value.p
    if within.value is None:
        found.append(Raised("rubric_not_estimable", {"by": value.name, "items": len(rates.judged)}))
    elif within.value <= _CHANCE or p is None or p >= _ALPHA:
        low, high = value.interval or (None, None)
        values = {"by": value.name, "auc": within.value, "low": low, "high": high, "p": p, "mixed": within.mixed}
        found.append(Raised("rubric_blind", values, named(mixed), len(mixed)))
    if rates.p is not None and rates.p < _ALPHA and rates.selected is not None and rates.mean is not None:
        values = {"by": value.name, "selected": rates.selected, "mean": rates.mean, "p": rates.p}
        found.append(Raised("selection_gains" if rates.selected > rates.mean else "selection_loses", values))
    return found
