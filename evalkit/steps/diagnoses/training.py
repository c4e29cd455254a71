"""What the diagnoses of a training set share: the scores that stand beside it, and how far the two go together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from evalkit.core.diagnosis import Column, DiagnosisTable
from evalkit.core.digest import short
from evalkit.core.errors import DataError
from evalkit.core.runfolder import DiagnosisLock, TrainingLock
from evalkit.core.types import Json, SampleRow
from evalkit.stats.intervals import Estimate, estimate
from evalkit.stats.sequence import Association, association

LEVEL = 0.05
_Item = tuple[str, str, str, str]


class Beside:
    """Scores of a step by the names that a training set tells its rows apart by.

    These are the values of the group of that name, where a task has such a group, and the categories elsewhere. The
    answers to an item are averaged first.
    """

    def __init__(self, by: str) -> None:
        self._field = by.rpartition(".")[2]
        self._items: dict[str, dict[_Item, list[float]]] = {}

    def add(self, row: SampleRow) -> None:
        if row.selected and row.score is not None:
            items = self._items.setdefault(row.groups.get(self._field) or row.category, {})
            items.setdefault((row.category, row.task, row.split, row.id), []).append(row.score)

    def estimates(self) -> dict[str, Estimate]:
        """The mean over the items of each, with its interval."""
        found = {}
        for name, items in sorted(self._items.items()):
            one = estimate([math.fsum(scores) / len(scores) for scores in items.values()])
            if one is not None:
                found[name] = one
        return found


class Compared:
    """A figure of each category of a training set beside the category's score."""

    def __init__(self, lock: DiagnosisLock, figure: Mapping[str, float], beside: Beside) -> None:
        self.step = lock.reads.get("scores")
        self.scores = beside.estimates()
        values = {name: one.value for name, one in self.scores.items()}
        self.found: Association = association(figure, values)
        self.untrained = [name for name in self.scores if name not in figure]
        self._named = figure

    def metrics(self, of: str) -> dict[str, float | None]:
        """Empty where the spec names no step with scores."""
        if self.step is None:
            return {}
        return {
            "compared": float(self.found.n),
            f"{of}_score_correlation": self.found.value,
            f"{of}_score_p": self.found.p,
        }

    def score(self, name: str) -> tuple[Json, ...]:
        """The cells of a category: score, interval, items. Empty where there are no such columns."""
        if self.step is None:
            return ()
        one = self.scores.get(name)
        return (None, None, 0) if one is None else (one.value, (one.interval.low, one.interval.high), one.n)

    def tables(self, of: str) -> tuple[DiagnosisTable, ...]:
        """The correlation as a table; none where there is none."""
        found = self.found
        if self.step is None or found.value is None:
            return ()
        columns = (
            Column("of"),
            Column("and"),
            Column("categories", "count"),
            Column("Spearman's correlation", "number"),
            Column("p", "p"),
        )
        line = (of, f"score of {self.step}", found.n, found.value, found.p)
        how = "over all orders of the categories" if found.exact else "from Student's t"
        said = f"p is two-sided, {how}. Categories differ in more than this one figure: a correlation is no cause."
        return (DiagnosisTable("association", "Does it go with scores?", columns, (line,), said),)

    def values(self) -> dict[str, Json]:
        """The evidence, where the correlation is clear of chance; empty elsewhere."""
        if self.found.p is None or self.found.p >= LEVEL:
            return {}
        return {"step": self.step, "correlation": self.found.value, "p": self.found.p, "n": self.found.n}

    def notes(self) -> Iterator[str]:
        if self.step is None:
            return
        if not self.found.n:
            there, here = _listed(self._named), _listed(self.scores)
            yield f"No category of the training set ({there}) is called like one that {self.step} scores ({here})."
        elif self.found.value is None:
            yield f"Over {self.found.n} of the categories there is no correlation: one of the two does not vary."
        elif self.found.too_few:
            yield f"{self.found.n} categories are too few: in no order of these values could p be below {LEVEL}."


def training_of(lock: DiagnosisLock) -> TrainingLock:
    """The training set that a diagnosis is about. Raises DataError for a lock without one."""
    if lock.training is None:
        message = f"the lock of the run has no training set for the step {lock.step}"
        raise DataError(message, hint="run the spec again: what is in the store is not asked again")
    return lock.training


def about(training: TrainingLock) -> str:
    """Which file it is."""
    return f"{training.file}, {training.rows} rows by '{training.by}', sha256 {short(training.sha256)}."


def _listed(names: Mapping[str, object]) -> str:
    shown = ", ".join(list(names)[:5])
    return f"{shown}, ..." if len(names) > 5 else shown or "none"
