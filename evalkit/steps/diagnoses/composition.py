"""What a training set is made of, and whether the share of a category goes with its score.

Shares are counted, not estimated, so they have no interval. The file was read when the run was made: the counts stand
in the lock, and the report is made again without it.
"""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Json, SampleRow
from evalkit.steps.diagnoses.training import Beside, Compared, about, training_of

_HALF = 0.5
_ABOVE_EVEN = 1.5
_MOST_BARS = 30
_SCORES = (Column("score", "share"), Column("95 % interval", "interval"), Column("items", "count"))


class Composition:
    """The kind `composition`."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._lock = lock
        self._training = training_of(lock)
        self._beside = Beside(self._training.by)

    def add(self, row: SampleRow) -> None:
        self._beside.add(row)

    def result(self) -> Diagnosis:
        compared = Compared(self._lock, self._shares, self._beside)
        shares = self._shares.values()
        return Diagnosis(
            diagnosis="composition",
            of=tuple(self._lock.reads.values()),
            metrics={
                "rows": float(self._training.rows),
                "categories": float(len(shares)),
                "largest_share": max(shares),
                "effective_categories": 1.0 / sum(share * share for share in shares),
                **compared.metrics("share"),
            },
            tables=(self._table(compared), *compared.tables("share")),
            figures=(self._figure(compared),),
            raised=tuple(self._raised(compared)),
            notes=tuple(compared.notes()),
        )

    @property
    def _shares(self) -> dict[str, float]:
        """The largest first."""
        return {one.name: one.rows / self._training.rows for one in self._training.categories}

    def _table(self, compared: Compared) -> DiagnosisTable:
        lines: list[tuple[Json, ...]] = [
            (one.name, one.rows, one.rows / self._training.rows, *compared.score(one.name))
            for one in self._training.categories
        ]
        lines += [(name, 0, 0.0, *compared.score(name)) for name in compared.untrained]
        columns = [Column("category"), Column("rows", "count"), Column("share", "share")]
        columns += _SCORES if compared.step is not None else ()
        said = about(self._training)
        if compared.step is not None:
            said += f" Scores are those of {compared.step}."
        return DiagnosisTable("composition", "What the training set is made of", tuple(columns), tuple(lines), said)

    def _figure(self, compared: Compared) -> Figure:
        names = [*self._shares, *compared.untrained][:_MOST_BARS]
        places = tuple(float(place) for place in range(len(names)))
        series = [Series("share of the training set", places, tuple(self._shares.get(name, 0.0) for name in names))]
        if compared.step is not None:
            found = [compared.scores.get(name) for name in names]
            series.append(
                Series(
                    f"score of {compared.step}",
                    places,
                    tuple(one.value if one is not None else None for one in found),
                    tuple(one.interval.low if one is not None else None for one in found),
                    tuple(one.interval.high if one is not None else None for one in found),
                )
            )
        return Figure(
            name="composition",
            kind="bars",
            title="What the training set is made of",
            x_label=self._training.by,
            y_label="share" if compared.step is None else "share, score",
            series=tuple(series),
            ticks=tuple(names),
            percent=("y",),
        )

    def _raised(self, compared: Compared) -> Iterator[Raised]:
        largest, count = self._training.categories[0], len(self._training.categories)
        share = largest.rows / self._training.rows
        if count > 1 and share > _HALF and share >= _ABOVE_EVEN / count:
            values = {"category": largest.name, "rows": largest.rows, "share": share, "categories": count}
            yield Raised("dominant_category", values)
        if compared.found.n and compared.untrained:
            values = {
                "names": ", ".join(compared.untrained),
                "count": len(compared.untrained),
                "measured": len(compared.scores),
                "step": compared.step,
            }
            yield Raised("untrained_categories", values)
        if evidence := compared.values():
            yield Raised("share_goes_with_score", evidence)
