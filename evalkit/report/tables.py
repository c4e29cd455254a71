"""A run as tables: `samples.parquet` and pandas frames. pandas and pyarrow are imported where they are used."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from evalkit.core import runfolder
from evalkit.core.types import Json, SampleRow
from evalkit.report.results import CategoryMeasure, Measure, Results

if TYPE_CHECKING:
    import pandas

_BATCH = 2048
_JSON_COLUMNS = (
    "groups",
    "prompt",
    "tests",
    "effective",
    "limits",
    "readings",
    "criteria",
    "earlier",
    "likelihoods",
    "choice",
)
_TYPES = {
    "sample": "int64",
    "selected": "bool",
    "score": "float64",
    "tests_passed": "int64",
    "tests_total": "int64",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "seconds": "float64",
    "sandbox_s": "float64",
    "usd": "float64",
    "cpu_s": "float64",
    "peak_mb": "float64",
    "in_process": "bool",
    "mean_logprob": "float64",
    "reward": "float64",
}
COLUMNS = SampleRow.__struct_encode_fields__


class ParquetFile:
    """Writes sample rows to a Parquet file in batches; the file appears whole when the block ends without an error."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._scratch = target.with_name(f".{target.name}.part")
        self._batch: list[dict[str, Json]] = []

    def __enter__(self) -> Self:
        import pyarrow
        from pyarrow import parquet

        self._arrow = pyarrow
        self._schema = pyarrow.schema(
            [(name, pyarrow.type_for_alias(_TYPES.get(name, "string"))) for name in COLUMNS],
            metadata={"evalkit": "1"},
        )
        self._writer = parquet.ParquetWriter(self._scratch, self._schema, compression="zstd")
        return self

    def add(self, row: SampleRow) -> None:
        """Queue a row; every few thousand go to the file."""
        self._batch.append(_flat(row))
        if len(self._batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._writer.write_table(self._arrow.Table.from_pylist(self._batch, schema=self._schema))
            self._batch.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                _replace(self._scratch, self._target)
        finally:
            self._scratch.unlink(missing_ok=True)


def _replace(scratch: Path, target: Path) -> None:
    with scratch.open("rb") as stream:
        os.fsync(stream.fileno())
    scratch.replace(target)


def _flat(row: SampleRow) -> dict[str, Json]:
    values: dict[str, Json] = {}
    for name, attribute in zip(COLUMNS, SampleRow.__struct_fields__, strict=True):
        value = getattr(row, attribute)
        if name in _JSON_COLUMNS:
            value = None if value is None else msgspec.json.encode(value).decode()
        values[name] = value
    return values


def samples_frame(folder: Path) -> pandas.DataFrame:
    """One row a completion, the columns of `samples.parquet`; those that hold JSON as Python objects."""
    import pandas

    frame = pandas.read_parquet(folder / runfolder.PARQUET, dtype_backend="numpy_nullable")
    for name in _JSON_COLUMNS:
        decoded = [None if value is None or value is pandas.NA else msgspec.json.decode(value) for value in frame[name]]
        frame[name] = pandas.Series(decoded, dtype=object)
    return frame


def results_frame(results: Results) -> pandas.DataFrame:
    """One row a measure: step, level (all, category or group), category, field, value, and its numbers."""
    import pandas

    return pandas.DataFrame(measure_lines(results))


def measure_lines(results: Results) -> list[dict[str, Any]]:
    """The rows of `results_frame`."""
    lines: list[dict[str, Any]] = []
    for step_name in results.order:
        step = results.steps[step_name]
        place = {"step": step_name, "model": step.model, "category": None, "field": None, "value": None}
        lines.append(place | {"level": "all"} | _numbers(step.all))
        for name in step.order:
            lines += _category_lines(place | {"category": name}, step.categories[name])
    return lines


def _category_lines(place: dict[str, Any], category: CategoryMeasure) -> list[dict[str, Any]]:
    lines = [place | {"level": "category"} | _numbers(category)]
    for field, values in category.groups.items():
        for value, measure in values.items():
            lines.append(place | {"level": "group", "field": field, "value": value} | _numbers(measure))
    return lines


def _numbers(measure: Measure) -> dict[str, Any]:
    low, high = measure.interval or (None, None)
    metrics = measure.metrics
    return {
        "n": measure.n,
        "scored": measure.scored,
        "void": measure.void,
        "unscored": measure.unscored,
        "score": measure.score,
        "low": low,
        "high": high,
        "method": measure.method,
        "pass@1": metrics.pass_at_1.score,
        "tests_share": metrics.tests.share,
        "truncated": metrics.truncated,
        "no_answer": metrics.no_answer,
        "completion_tokens": metrics.tokens.completion,
        "generation_s": metrics.seconds.generation,
        "weighing_s": metrics.seconds.weighing,
        "usd": metrics.usd,
        "programs": metrics.limits.programs,
        "near_limit": metrics.limits.near,
    }
