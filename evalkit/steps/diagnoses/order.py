"""In which order a training set stands: blocks of one category, what comes last, and whether that goes with scores.

The order of the file is the order of training only where the trainer does not shuffle. The file was read when the run
was made: what is said of it here stands in the lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock, TrainingCategory
from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses.training import LEVEL, Beside, Compared, about, training_of

_FEW_RUNS = 0.8
_LATE = 2.0
_MOST_LINES = 8
_COLUMNS = (
    Column("category"),
    Column("rows", "count"),
    Column("share", "share"),
    Column("mean position", "share"),
    Column("of the first tenth", "share"),
    Column("of the last tenth", "share"),
    Column("recency", "number"),
    Column("longest run", "count"),
    Column("p", "p"),
)
_ABOUT = (
    " A position goes from the start of the file (0 %) to its end (100 %). Recency is the share of the last tenth over "
    "the share of the whole file; p is that the rows of the category stand neither early nor late."
)
_SHUFFLED = "The order of the file is the order of training only where the trainer does not shuffle."


class FileOrder:
    """The kind `order`."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._lock = lock
        self._training = training_of(lock)
        self._beside = Beside(self._training.by)

    def add(self, row: SampleRow) -> None:
        self._beside.add(row)

    def result(self) -> Diagnosis:
        training = self._training
        positions = {one.name: one.mean_position for one in training.categories}
        compared = Compared(self._lock, positions, self._beside)
        alone = len(training.categories) == 1
        return Diagnosis(
            diagnosis="order",
            of=tuple(self._lock.reads.values()),
            metrics={
                "rows": float(training.rows),
                "runs": float(training.runs),
                "expected_runs": training.expected_runs,
                "runs_ratio": training.runs / training.expected_runs,
                "runs_p": training.runs_p,
                "largest_recency": max(map(self._recency, training.categories)),
                **compared.metrics("position"),
            },
            tables=(self._table(compared), self._runs(), *compared.tables("mean position")),
            figures=() if alone else (self._figure(),),
            raised=tuple(self._raised(compared)),
            notes=("One category only: its order says nothing.",) if alone else (_SHUFFLED, *compared.notes()),
        )

    def _recency(self, one: TrainingCategory) -> float:
        return _last(one) / (one.rows / self._training.rows)

    def _table(self, compared: Compared) -> DiagnosisTable:
        lines = tuple(
            (
                one.name,
                one.rows,
                one.rows / self._training.rows,
                one.mean_position,
                one.parts[0],
                _last(one),
                self._recency(one),
                one.longest_run,
                one.position_p,
                *compared.score(one.name)[:1],
            )
            for one in self._training.categories
        )
        columns = (*_COLUMNS, *((Column("score", "share"),) if compared.step is not None else ()))
        return DiagnosisTable("order", "Where the categories stand", columns, lines, about(self._training) + _ABOUT)

    def _runs(self) -> DiagnosisTable:
        training = self._training
        columns = (
            Column("stretches of one category", "count"),
            Column("of a shuffled file", "number"),
            Column("ratio", "number"),
            Column("p", "p"),
        )
        line = (training.runs, training.expected_runs, training.runs / training.expected_runs, training.runs_p)
        said = "Fewer than those of a shuffled file are blocks, more are alternation."
        return DiagnosisTable("runs", "Is the file shuffled?", columns, (line,), said)

    def _figure(self) -> Figure:
        shown = self._training.categories[:_MOST_LINES]
        parts = len(shown[0].parts)
        middles = tuple((part + 0.5) / parts for part in range(parts))
        return Figure(
            name="order",
            kind="lines",
            title="Share of each category along the training set",
            x_label="position in the file",
            y_label="share of the rows there",
            series=tuple(Series(one.name, middles, one.parts) for one in shown),
            percent=("x", "y"),
        )

    def _raised(self, compared: Compared) -> Iterator[Raised]:
        yield from self._blocks()
        yield from self._late()
        if evidence := compared.values():
            yield Raised("position_goes_with_score", evidence)

    def _blocks(self) -> Iterator[Raised]:
        training = self._training
        clear = training.runs_p is not None and training.runs_p < LEVEL
        if clear and training.runs < _FEW_RUNS * training.expected_runs:
            longest = max(training.categories, key=lambda one: one.longest_run)
            values = {
                "runs": training.runs,
                "expected": training.expected_runs,
                "p": training.runs_p,
                "category": longest.name,
                "longest": longest.longest_run,
            }
            yield Raised("training_in_blocks", values)

    def _late(self) -> Iterator[Raised]:
        """The category that stands most of all at the end, if that is clear of chance among so many."""
        count = len(self._training.categories)
        clear = [one for one in self._training.categories if one.position_p is not None]
        clear = [one for one in clear if (one.position_p or 0.0) * count < LEVEL and self._recency(one) >= _LATE]
        if clear:
            late = max(clear, key=self._recency)
            p, recency = late.position_p, self._recency(late)
            share = late.rows / self._training.rows
            values = {"category": late.name, "recency": recency, "last": _last(late), "share": share, "p": p}
            yield Raised("late_category", values)


def _last(one: TrainingCategory) -> float:
    return one.parts[-1] or 0.0
