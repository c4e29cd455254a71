"""Several arms of one step, side by side: what a setting does to the score, to length and to cost.

Arms answer the same items, so each is compared with the first in pairs. The arm with the highest score is the luckiest
of several as well as, perhaps, the best: its own score is no forecast, and no finding is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.intervals import Estimate, estimate
from evalkit.stats.paired import discordant, mcnemar_exact, sign_flip_p
from evalkit.steps.diagnoses.paid import Cost

_WHOLE = ""
"""The place of all categories together: no category is called so."""
_COLUMNS = (
    Column("arm"),
    Column("category"),
    Column("items", "count"),
    Column("score", "share"),
    Column("95 % interval", "interval"),
    Column("difference to the first", "points"),
    Column("p", "p"),
    Column("answers", "count"),
    Column("tokens an answer", "number"),
    Column("seconds", "seconds"),
    Column("USD", "usd"),
)
_ABOUT = (
    "Items are paired with those of the first arm; p is the exact McNemar test where each item is solved or not, a "
    "permutation of signs elsewhere. With several arms some difference below 0.05 comes by chance: an arm chosen here "
    "has to be measured on other items."
)

_Item = tuple[str, str, str]


class _Cell(Struct):
    """What one arm has in one category."""

    cost: Cost = field(default_factory=Cost)
    scores: dict[_Item, list[float]] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.cost.add(row)
        if row.selected and row.score is not None:
            self.scores.setdefault((row.task, row.split, row.id), []).append(row.score)

    @property
    def means(self) -> dict[_Item, float]:
        return {item: math.fsum(scores) / len(scores) for item, scores in self.scores.items()}


class Sweep:
    """The kind `sweep`. The roles of the lock are the arms' labels, in the order of the spec."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._arms = {label: lock.reads[label] for label in lock.roles or lock.reads}
        self._labels = {step: label for label, step in lock.reads.items()}
        self._over = tuple(str(setting) for setting in lock.options.get("over", ()))
        self._cells: dict[str, dict[str, _Cell]] = {}

    def add(self, row: SampleRow) -> None:
        for category in (row.category, _WHOLE):
            arms = self._cells.setdefault(category, {})
            arms.setdefault(self._labels[row.step], _Cell()).add(row)

    def result(self) -> Diagnosis:
        whole = self._cells.get(_WHOLE, {})
        names = [name for name in self._cells if name != _WHOLE]
        shown = [*names, _WHOLE] if len(names) > 1 else names
        title = f"By {' and '.join(self._over)}" if self._over else "The arms"
        rows = tuple(line for name in shown for line in self._lines(name))
        found = {label: estimate(list(cell.means.values())) for label, cell in whole.items()}
        return Diagnosis(
            diagnosis="sweep",
            of=tuple(self._arms.values()),
            metrics={label: one.value if one is not None else None for label, one in found.items()},
            tables=(DiagnosisTable("arms", title, _COLUMNS, rows, _ABOUT),),
            figures=(self._figure(shown),) if rows else (),
        )

    def _lines(self, category: str) -> Iterator[tuple[object, ...]]:
        arms = self._cells[category]
        first = next((arms[label] for label in self._arms if label in arms), _Cell())
        for label in self._arms:
            if label not in arms:
                continue
            cell, cost = arms[label], arms[label].cost
            found = estimate(list(cell.means.values()))
            difference, p = (None, None) if cell is first else _paired(first.means, cell.means)
            tokens = None if cost.tokens is None or not cost.answers else cost.tokens / cost.answers
            yield (
                label,
                category or "all",
                len(cell.scores),
                found.value if found else None,
                _bounds(found),
                difference,
                p,
                cost.answers,
                tokens,
                cost.seconds,
                cost.usd,
            )

    def _figure(self, shown: list[str]) -> Figure:
        places = self._places()
        numeric = places is not None
        return Figure(
            name="arms",
            kind="lines" if numeric else "points",
            title=f"Score by {' and '.join(self._over) or 'arm'}",
            x_label=" and ".join(self._over) or "arm",
            y_label="score",
            series=tuple(self._series(name, places) for name in shown),
            ticks=() if numeric else tuple(self._arms),
            percent=("y",),
        )

    def _places(self) -> list[float] | None:
        """Where the arms stand on the axis: at their values, where one number tells them apart."""
        try:
            return [float(label) for label in self._arms] if len(self._over) == 1 else None
        except ValueError:
            return None

    def _series(self, category: str, places: list[float] | None) -> Series:
        arms = self._cells[category]
        found = [estimate(list(arms[label].means.values())) if label in arms else None for label in self._arms]
        x = places if places is not None else [float(index) for index in range(len(found))]
        order = sorted(range(len(found)), key=lambda index: x[index])
        bounds = [_bounds(found[index]) for index in order]
        values = [found[index] for index in order]
        return Series(
            name=category or "all",
            x=tuple(x[index] for index in order),
            y=tuple(one.value if one is not None else None for one in values),
            low=tuple(one[0] if one is not None else None for one in bounds),
            high=tuple(one[1] if one is not None else None for one in bounds),
        )


def _bounds(found: Estimate | None) -> tuple[float, float] | None:
    return None if found is None else (found.interval.low, found.interval.high)


def _paired(first: Mapping[_Item, float], other: Mapping[_Item, float]) -> tuple[float | None, float | None]:
    """The mean difference over the items of both, and its p."""
    common = [(first[item], other[item]) for item in first if item in other]
    if not common:
        return None, None
    difference = math.fsum(after - before for before, after in common) / len(common)
    if any(score not in (0.0, 1.0) for pair in common for score in pair):
        return difference, sign_flip_p([after - before for before, after in common])
    return difference, mcnemar_exact(*discordant((before == 1.0, after == 1.0) for before, after in common))
