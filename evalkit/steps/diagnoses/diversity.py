"""Do several answers to an item differ at all? Where they do not, no selector can gain anything.

Texts may differ where answers do not, and answers where behaviours do not: so all three are counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.consistency import effective_number
from evalkit.stats.intervals import mean
from evalkit.steps.diagnoses.facts import Digest, Fact, Group, Groups, label, named

NEAR = 0.1
"""Selector values that differ by no more are as good as equal: a tenth of a point."""
SHARES_NEAR = 0.001
"""The same where all values are shares of all points, of which there are a hundred then."""
_HALF = 0.5
_ROUNDING = 1e-9
_COLUMNS = (
    Column("category"),
    Column("items", "count"),
    Column("answers each", "number"),
    Column("distinct texts", "number"),
    Column("distinct answers", "number"),
    Column("distinct behaviours", "number"),
    Column("effective number", "number"),
    Column("one text only", "share"),
    Column("one answer only", "share"),
    Column("one behaviour only", "share"),
    Column("mixed", "share"),
    Column("mean", "share"),
    Column("oracle", "share"),
)
_ABOUT = (
    "Means over items that have several answers. A behaviour is which tests pass and how the program ends, or the "
    "answer "
    "itself where nothing is run. The effective number is that of behaviours: 1 / Σ p². Mixed items have answers that "
    "pass and answers that fail: only there can a choice matter. The oracle solves every item that any answer solves."
)


class Diversity:
    """The kind `diversity`."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._of = lock.reads["of"]
        self._groups = Groups()

    def add(self, row: SampleRow) -> None:
        self._groups.add(row)

    def result(self) -> Diagnosis:
        several = {
            category: [group for group in groups if len(group.known) > 1]
            for category, groups in self._groups.by_category().items()
        }
        whole = [group for group in self._groups if len(group.known) > 1]
        values = [group for group in whole if _spread(group) is not None]
        tables = [
            DiagnosisTable("diversity", "How much the answers to an item differ", _COLUMNS, _rows(several), _ABOUT)
        ]
        if values:
            tables.append(_value_table(several))
        return Diagnosis(
            diagnosis="diversity",
            of=(self._of,),
            metrics=_metrics(whole),
            tables=tuple(tables) if whole else (),
            figures=(_figure(whole),) if whole else (),
            raised=tuple(_raised(whole, values)),
            notes=() if whole else ("No item has several answers, so there is nothing to tell apart.",),
        )


def _metrics(groups: Sequence[Group]) -> dict[str, float | None]:
    values = [spread for spread in map(_spread, groups) if spread is not None]
    return {
        "items": float(len(groups)),
        "distinct_texts": mean([float(distinct(group.known, _text)) for group in groups]),
        "distinct_answers": _mean_distinct(groups, _answer),
        "distinct_behaviours": _mean_distinct(groups, _behaviour),
        "effective_number": _mean_effective(groups),
        "identical_texts": _share(distinct(group.known, _text) == 1 for group in groups),
        "identical_answers": _share_of_one(groups, _answer),
        "identical_behaviours": _share_of_one(groups, _behaviour),
        "identical_values": _share(spread <= _ROUNDING for spread in values),
        "near_values": _share(spread <= near_of(groups) + _ROUNDING for spread in values),
        "mixed": _share(group.mixed for group in groups if len(group.judged) > 1),
        "mean": _mean_passed(groups),
        "oracle": _oracle(groups),
        "room": _room(groups),
    }


def _rows(several: dict[str, list[Group]]) -> tuple[tuple[object, ...], ...]:
    lines = []
    for category, groups in several.items():
        found = _metrics(groups)
        answers = mean([float(len(group.known)) for group in groups])
        names = ("distinct_texts", "distinct_answers", "distinct_behaviours", "effective_number", "identical_texts")
        more = ("identical_answers", "identical_behaviours", "mixed", "mean", "oracle")
        lines.append((label(category), len(groups), answers, *(found[name] for name in (*names, *more))))
    return tuple(lines)


def _value_table(several: dict[str, list[Group]]) -> DiagnosisTable:
    tolerance = near_of([group for groups in several.values() for group in groups])
    lines = []
    for category, groups in several.items():
        spreads = [spread for spread in map(_spread, groups) if spread is not None]
        same, near = (sum(spread <= limit + _ROUNDING for spread in spreads) for limit in (0.0, tolerance))
        share = near / len(spreads) if spreads else None
        lines.append((label(category), len(spreads), same, near, share, mean(spreads)))
    columns = (
        Column("category"),
        Column("items", "count"),
        Column("all values equal", "count"),
        Column(f"within {tolerance}", "count"),
        Column(f"share within {tolerance}", "share"),
        Column("mean spread", "number"),
    )
    about = (
        "The spread is the highest value of an item's candidates minus the lowest. Where all are equal the tie decides."
    )
    return DiagnosisTable("values", "How much the selector's values differ", columns, tuple(lines), about)


def _figure(groups: Sequence[Group]) -> Figure:
    most = max(len(group.known) for group in groups)
    kinds: list[tuple[str, Callable[[Fact], Digest | None]]] = [("texts", _text), ("behaviours", _behaviour)]
    series = []
    for name, key in kinds:
        counts = Counter(distinct(group.known, key) for group in groups)
        total = sum(counts[number] for number in range(1, most + 1))
        if total:
            x = tuple(float(number - 1) for number in range(1, most + 1))
            series.append(Series(name, x, tuple(counts[number] / total for number in range(1, most + 1))))
    return Figure(
        name="distinct",
        kind="bars",
        title="How many of an item's answers differ",
        x_label="distinct among the answers to an item",
        y_label="share of items",
        series=tuple(series),
        ticks=tuple(str(number) for number in range(1, most + 1)),
        percent=("y",),
    )


def _raised(groups: Sequence[Group], valued: Sequence[Group]) -> list[Raised]:
    found = []
    same = [group for group in groups if distinct(group.known, _text) == 1 and _drawn(group)]
    if len(same) >= max(2, _HALF * len(groups)):
        temperatures = {fact.temperature for group in same for fact in group.known if fact.temperature is not None}
        values = {
            "identical": len(same),
            "items": len(groups),
            "answers": max(len(group.known) for group in same),
            "temperature": max(temperatures, default=None),
        }
        found.append(Raised("identical_candidates", values, named(same), len(same)))
    tolerance = near_of(valued)
    near = [group for group in valued if (_spread(group) or 0.0) <= tolerance + _ROUNDING]
    if valued and len(near) >= max(2, _HALF * len(valued)):
        values = {"near": len(near), "items": len(valued), "tolerance": tolerance}
        found.append(Raised("identical_scores", values, named(near), len(near)))
    judged = [group for group in groups if len(group.judged) > 1]
    if judged and not any(group.mixed for group in judged):
        passed = sum(bool(group.judged[0].passed) for group in judged)
        found.append(Raised("nothing_mixed", {"items": len(judged), "passed": passed}, named(judged), len(judged)))
    return found


def near_of(groups: Iterable[Group]) -> float:
    """How far apart values may be that are as good as equal."""
    values = [fact.value for group in groups for fact in group.known if fact.value is not None]
    return SHARES_NEAR if values and all(0.0 <= value <= 1.0 for value in values) else NEAR


def _drawn(group: Group) -> bool:
    """Whether its answers could differ: at a temperature above 0, or one that nobody knows."""
    return all(fact.temperature is None or fact.temperature > 0 for fact in group.known)


def distinct(facts: Iterable[Fact], key: Callable[[Fact], Digest | None]) -> int:
    """How many different ones there are. What has none equals nothing, not even another such; where nothing has one
    there is nothing to count: 0."""
    return len(_tally(facts, key))


def _tally(facts: Iterable[Fact], key: Callable[[Fact], Digest | None]) -> list[int]:
    """How often each comes; nothing where none has one."""
    found = [key(fact) for fact in facts]
    known = Counter(one for one in found if one is not None)
    return [*known.values(), *([1] * (len(found) - known.total()))] if known else []


def _text(fact: Fact) -> Digest | None:
    return fact.text


def _answer(fact: Fact) -> Digest | None:
    return fact.answer


def _behaviour(fact: Fact) -> Digest | None:
    return fact.behaviour


def _mean_distinct(groups: Sequence[Group], key: Callable[[Fact], Digest | None]) -> float | None:
    counts = [distinct(group.known, key) for group in groups]
    return mean([float(count) for count in counts if count])


def _share_of_one(groups: Sequence[Group], key: Callable[[Fact], Digest | None]) -> float | None:
    counts = [distinct(group.known, key) for group in groups]
    return _share(count == 1 for count in counts if count)


def _mean_effective(groups: Sequence[Group]) -> float | None:
    found = [effective_number(_tally(group.known, _behaviour)) for group in groups]
    return mean([number for number in found if number is not None])


def _mean_passed(groups: Sequence[Group]) -> float | None:
    judged = [group.judged for group in groups if group.judged]
    return mean([sum(fact.passed is True for fact in facts) / len(facts) for facts in judged])


def _oracle(groups: Sequence[Group]) -> float | None:
    return _share(any(fact.passed for fact in group.judged) for group in groups if group.judged)


def _room(groups: Sequence[Group]) -> float | None:
    oracle, rate = _oracle(groups), _mean_passed(groups)
    return None if oracle is None or rate is None else oracle - rate


def _spread(group: Group) -> float | None:
    """The highest minus the lowest selector value; None where fewer than two candidates have one."""
    known = [fact.value for fact in group.known if fact.value is not None]
    return max(known) - min(known) if len(known) > 1 else None


def _share(flags: Iterable[bool]) -> float | None:
    known = [float(flag) for flag in flags]
    return math.fsum(known) / len(known) if known else None
