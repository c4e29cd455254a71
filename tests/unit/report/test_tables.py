"""Rows as tables: Parquet and pandas."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pandas
import pyarrow.parquet
import pytest

from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Limits, SampleRow, TestResult, Weighed
from evalkit.report.collect import collect
from evalkit.report.tables import COLUMNS, ParquetFile, results_frame, samples_frame

Build = Callable[..., SampleRow]


def put(folder: Path, rows: list[SampleRow]) -> Path:
    with ParquetFile(folder / "samples.parquet") as parquet:
        for row in rows:
            parquet.add(row)
    return folder / "samples.parquet"


def test_parquet_holds_every_column(tmp_path: Path, row: Build) -> None:
    """The columns are those of samples.jsonl, under the same names; numbers are numbers and null is null."""
    rows = [
        row(groups={"level": "easy"}, tests=(TestResult(True, "assert x"),), tests_passed=1, tests_total=1),
        row(id="l", sandbox_s=0.5, cpu_s=0.25, peak_mb=9.5, limits=Limits(cpu_s=2.0), reference="passed"),
        row(id="w", text="", finish_reason="weighed", likelihoods=(Weighed(" A", -1.5, 1, True), Weighed(" B", -2.0))),
        row(id="j", outcome="void", text=None, effective=None, seconds=None, reason="engine: gone"),
    ]
    table = pyarrow.parquet.read_table(put(tmp_path, rows)).to_pylist()
    assert list(table[0]) == list(COLUMNS)
    assert "class" in table[0]
    for written, plain in zip(table, (msgspec.to_builtins(one) for one in rows), strict=True):
        for name, value in plain.items():
            expected = value
            if (
                name
                in (
                    "groups",
                    "prompt",
                    "tests",
                    "effective",
                    "limits",
                    "readings",
                    "criteria",
                    "earlier",
                    "likelihoods",
                )
                and value is not None
            ):
                expected = msgspec.json.encode(value).decode()
            assert written[name] == expected, name


def test_parquet_is_deterministic(tmp_path: Path, row: Build) -> None:
    """The same rows give the same bytes, over several batches too."""
    rows = [row(id=str(index), text=f"text {index}") for index in range(5000)]
    (tmp_path / "other").mkdir()
    first, second = put(tmp_path, rows), put(tmp_path / "other", rows)
    assert first.read_bytes() == second.read_bytes()
    assert pyarrow.parquet.ParquetFile(first).metadata.num_row_groups == 3


def test_parquet_appears_whole_or_not_at_all(tmp_path: Path, row: Build) -> None:
    """An error in the middle leaves the old file, and nothing else."""
    before = put(tmp_path, [row()]).read_bytes()
    with pytest.raises(AttributeError):
        put(tmp_path, [row()] * 3000 + [None])  # type: ignore[list-item]
    assert (tmp_path / "samples.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, row: Build) -> None:
    """Twenty thousand rows of ten kilobytes need no two hundred megabytes."""
    tracemalloc.start()
    with ParquetFile(tmp_path / "samples.parquet") as parquet:
        for index in range(20_000):
            parquet.add(row(id=str(index), text=f"{index} " * 2000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


def test_no_rows(tmp_path: Path) -> None:
    """An empty run is an empty table with all columns."""
    frame = pandas.read_parquet(put(tmp_path, []))
    assert (len(frame), list(frame.columns)) == (0, list(COLUMNS))


def test_samples_frame(tmp_path: Path, row: Build) -> None:
    """Nested columns are objects again, unknown numbers are missing and not zero."""
    rows = [row(groups={"level": "easy"}), row(id="j", outcome="void", effective=None, prompt_tokens=None)]
    put(tmp_path, rows)
    frame = samples_frame(tmp_path)
    assert frame["groups"].tolist() == [{"level": "easy"}, {}]
    assert frame["prompt"][0]["messages"] == [{"role": "user", "content": "What?"}]
    assert frame["effective"][1] is None
    assert frame["prompt_tokens"].isna().tolist() == [False, True]
    assert frame["score"].mean() == 1.0


def test_results_frame(row: Build) -> None:
    """One line a measure, from the step down to each group."""
    rows = [row(groups={"level": "easy"}), row(id="j", groups={"level": "hard"}, outcome="fail")]
    run = RunRecord(id="r", state="complete", started="")
    frame = results_frame(collect(rows, run))
    assert frame["level"].tolist() == ["all", "category", "group", "group"]
    assert frame["value"].tolist()[2:] == ["easy", "hard"]
    assert frame["score"].tolist() == [0.5, 0.5, 1.0, 0.0]
    assert frame["pass@1"].tolist() == [0.5, 0.5, 1.0, 0.0]
