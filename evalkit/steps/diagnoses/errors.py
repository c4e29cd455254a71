"""How answers fail: classes of failure by category and by the groups of the task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses.facts import label

_MOST = 6
_FIRST = 3
_FEW = 10
_HALF = 0.5
_CUT = 0.2
_VALUES = 30


class _Tally(Struct):
    """Answers of one category, or of one value of a field."""

    answers: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    """Failed answers that ended at max_tokens."""

    def add(self, row: SampleRow) -> None:
        self.answers += 1
        if row.outcome == "fail":
            self.failed[row.error_class or "unknown"] += 1
            self.cut += row.finish_reason == "length"


class Errors:
    """The kind `errors`."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._of = lock.reads["of"]
        self._whole = _Tally()
        self._categories: dict[str, _Tally] = {}
        self._fields: dict[tuple[str, str], dict[str, _Tally]] = {}
        self._exceptions: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def add(self, row: SampleRow) -> None:
        if row.outcome not in ("pass", "fail"):
            return  # a share has no class, a void answer is no failure
        self._whole.add(row)
        self._categories.setdefault(row.category, _Tally()).add(row)
        for name, value in row.groups.items():
            self._fields.setdefault((row.category, name), {}).setdefault(value, _Tally()).add(row)
        if row.outcome == "fail":
            if row.exception:
                self._exceptions[row.exception] += 1
            names = self._first.setdefault(row.error_class or "unknown", [])
            if len(names) < _FIRST and f"{row.step}/{row.id}" not in names:
                names.append(f"{row.step}/{row.id}")

    def result(self) -> Diagnosis:
        failed = self._whole.failed.total()
        shares = {f"share_{name}": count / failed for name, count in self._whole.failed.most_common()}
        return Diagnosis(
            diagnosis="errors",
            of=(self._of,),
            metrics={
                "answers": float(self._whole.answers),
                "failed": float(failed),
                "cut_off": float(self._whole.cut),
                **dict(sorted(shares.items())),
            },
            tables=tuple(self._tables()) if failed else (),
            figures=(self._figure(),) if failed else (),
            raised=tuple(self._raised(failed)),
            notes=() if failed else ("No answer failed.",),
        )

    @property
    def _classes(self) -> list[str]:
        """The most frequent first; equal ones by name, so that the order of rows does not matter."""
        return [name for name, _ in sorted(self._whole.failed.items(), key=lambda pair: (-pair[1], pair[0]))]

    def _tables(self) -> Iterator[DiagnosisTable]:
        yield self._class_table()
        if self._exceptions:
            lines = tuple(sorted(self._exceptions.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST])
            columns = (Column("exception"), Column("answers", "count"))
            yield DiagnosisTable("exceptions", "What ended programs", columns, lines, "The most frequent ones.")
        for (category, name), values in self._fields.items():
            if 1 < len(values) <= _VALUES:
                yield self._field_table(category, name, values)

    def _class_table(self) -> DiagnosisTable:
        failed = self._whole.failed.total()
        categories = list(self._categories)
        lines = tuple(
            (
                name,
                self._whole.failed[name],
                self._whole.failed[name] / failed,
                *(self._categories[category].failed[name] for category in categories if len(categories) > 1),
                self._first[name],
            )
            for name in self._classes
        )
        columns = [Column("class"), Column("answers", "count"), Column("of the failures", "share")]
        columns += [Column(category, "count") for category in categories if len(categories) > 1]
        columns.append(Column("the first", "texts"))
        about = f"{failed} of {self._whole.answers} answers that passed or failed."
        return DiagnosisTable("classes", "How answers fail", tuple(columns), lines, about)

    def _field_table(self, category: str, name: str, values: dict[str, _Tally]) -> DiagnosisTable:
        classes = self._classes[:_MOST]
        lines = tuple(
            (
                value,
                tally.answers,
                tally.failed.total() / tally.answers,
                *(tally.failed[one] / tally.answers for one in classes),
            )
            for value, tally in sorted(values.items())
        )
        columns = (
            Column(name),
            Column("answers", "count"),
            Column("failed", "share"),
            *(Column(one, "share") for one in classes),
        )
        title = f"{category}: failures by {name}"
        return DiagnosisTable(f"{category}-{name}", title, columns, lines, "Shares of the answers of each line.")

    def _figure(self) -> Figure:
        places = tuple(float(place) for place in range(len(self._categories)))
        series = tuple(
            Series(name, places, tuple(tally.failed[name] / tally.answers for tally in self._categories.values()))
            for name in self._classes[:_MOST]
        )
        return Figure(
            name="classes",
            kind="bars",
            title="How answers fail",
            x_label="category",
            y_label="share of answers",
            series=series,
            ticks=tuple(map(label, self._categories)),
            percent=("y",),
        )

    def _raised(self, failed: int) -> Iterator[Raised]:
        if failed < _FEW:
            return
        name = self._classes[0]
        count = self._whole.failed[name]
        if count > _HALF * failed:
            values = {"error_class": name, "count": count, "failed": failed}
            yield Raised("dominant_failure", values, tuple(self._first[name]), count)
        if self._whole.cut >= _CUT * failed:
            yield Raised("cut_off_failures", {"cut": self._whole.cut, "failed": failed})
