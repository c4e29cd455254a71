"""The noise floor: the same greedy questions twice, in batches of another size. What differs then differs for no
reason.

Sums are rounded differently in batches of another shape, so a token that lies on a boundary may differ, and all that
follows it. A difference between two models that is no larger than this one is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Raised
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.intervals import mean, wilson
from evalkit.steps.diagnoses.facts import WHOLE, Fact, Groups, label

_MOST_NAMED = 10
_COLUMNS = (
    Column("category"),
    Column("answers", "count"),
    Column("other text", "count"),
    Column("other answer", "count"),
    Column("other verdict", "count"),
    Column("share of other verdicts", "share"),
    Column("95 % interval", "interval"),
    Column("score", "share"),
    Column("score again", "share"),
    Column("difference", "points"),
)
_ABOUT = (
    "Each answer beside the answer to the same question asked again. A behaviour stands for the answer "
    "where programs are run."
)

_Pair = tuple[Fact, Fact]


class Determinism:
    """The kind `determinism`. Roles: `of` asked first, `again` the same once more."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._steps = lock.reads
        self._first, self._again = Groups(), Groups()
        self._recorded = False

    def add(self, row: SampleRow) -> None:
        self._recorded = self._recorded or row.finish_reason == "recorded"
        (self._first if row.step == self._steps["of"] else self._again).add(row)

    def result(self) -> Diagnosis:
        pairs, whole = self._pairs()
        shown = pairs | ({WHOLE: whole} if len(pairs) > 1 else {})
        notes = []
        if self._recorded:
            notes.append("Recorded answers are the same whenever they are read: this says nothing of the model.")
        if not whole:
            notes.append("There is no answer of which both are known.")
        return Diagnosis(
            diagnosis="determinism",
            of=tuple(dict.fromkeys((self._steps["of"], *self._steps.values()))),
            metrics=_metrics(whole),
            tables=(
                (DiagnosisTable("floor", "Asked twice", _COLUMNS, tuple(map(_line, shown, shown.values())), _ABOUT),)
                if whole
                else ()
            ),
            raised=tuple(_raised(whole)),
            notes=tuple(notes),
        )

    def _pairs(self) -> tuple[dict[str, list[_Pair]], list[_Pair]]:
        """The pairs of each category, and of all items once."""
        found: dict[str, list[_Pair]] = {}
        once: dict[tuple[str, ...], list[_Pair]] = {}
        for key, group in self._first.items():
            again = self._again.get(key)
            other = {fact.sample: fact for fact in (again.known if again is not None else ())}
            pairs = [(fact, other[fact.sample]) for fact in group.known if fact.sample in other]
            found.setdefault(group.category, []).extend(pairs)
            once.setdefault(key[1:], pairs)
        return found, [pair for pairs in once.values() for pair in pairs]


def _different(pairs: Sequence[_Pair], key: Callable[[Fact], object]) -> list[_Pair]:
    return [(first, again) for first, again in pairs if key(first) != key(again)]


def _judged(pairs: Sequence[_Pair]) -> list[_Pair]:
    return [(first, again) for first, again in pairs if first.score is not None and again.score is not None]


def _line(category: str, pairs: Sequence[_Pair]) -> tuple[object, ...]:
    found, judged = _metrics(pairs), _judged(pairs)
    flips = len(_different(judged, lambda fact: fact.score))
    interval = wilson(flips, len(judged))
    return (
        label(category),
        len(pairs),
        len(_different(pairs, lambda fact: fact.text)),
        len(_different(pairs, lambda fact: fact.behaviour)),
        flips,
        found["other_verdicts"],
        tuple(interval) if interval is not None else None,
        found["score"],
        found["score_again"],
        found["difference"],
    )


def _metrics(pairs: Sequence[_Pair]) -> dict[str, float | None]:
    judged = _judged(pairs)
    first, again = mean([one.score or 0.0 for one, _ in judged]), mean([one.score or 0.0 for _, one in judged])
    return {
        "answers": float(len(pairs)),
        "other_texts": _share(len(_different(pairs, lambda fact: fact.text)), len(pairs)),
        "other_answers": _share(len(_different(pairs, lambda fact: fact.behaviour)), len(pairs)),
        "other_verdicts": _share(len(_different(judged, lambda fact: fact.score)), len(judged)),
        "score": first,
        "score_again": again,
        "difference": None if first is None or again is None else again - first,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _raised(pairs: Sequence[_Pair]) -> list[Raised]:
    other, judged = _different(pairs, lambda fact: fact.text), _judged(pairs)
    if not other:
        return []
    flips = _different(judged, lambda fact: fact.score)
    interval = wilson(len(flips), len(judged))
    values = {
        "texts": len(other),
        "answers": len(pairs),
        "flips": len(flips),
        "judged": len(judged),
        "high": interval.high if interval is not None else None,
    }
    names = tuple(dict.fromkeys(first.name for first, _ in (*flips, *other)))
    return [Raised("not_deterministic", values, names[:_MOST_NAMED], len(names))]
