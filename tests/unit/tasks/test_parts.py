"""Splits that are ranges of one file, and fields that come from a second one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.core.errors import DataError
from evalkit.spec.model import DataSource, Join, RowRange, Task
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.rows import Rows

ROWS = [{"n": 3, "q": "c"}, {"n": 1, "q": "a"}, {"n": "2", "q": "b"}, {"n": 4, "q": "d"}]


def task(folder: Path, *sources: DataSource, join: Join | None = None) -> Task:
    return Task(
        name="tiny",
        about="",
        source="",
        license="",
        category="tiny",
        data={"test": sources},
        id="{{ n }}",
        scorer="number",
        scorer_options={"answer": "{{ n }}"},
        text="x",
        folder=folder,
        join=join,
    )


def read(folder: Path, *sources: DataSource, join: Join | None = None) -> Rows:
    return read_rows(task(folder, *sources, join=join), "test", (), lambda sentence: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    return tmp_path


def test_a_range_takes_its_rows_in_their_order(folder: Path) -> None:
    """Both ends are included; a number may be written as text."""
    found = read(folder, DataSource(file="rows.jsonl", rows=RowRange("n", 2, 3)))
    assert ["c", "b"] == [row["q"] for row in found.rows]
    assert ["rows.jsonl:1", "rows.jsonl:3"] == found.places
    assert "rows.jsonl, n 2 to 3" == found.origin


def test_a_range_has_the_digest_of_its_rows(folder: Path) -> None:
    """A file that holds only the split is the same data."""
    (folder / "own.jsonl").write_text("\n".join(json.dumps(ROWS[place]) for place in (0, 2)))
    part = read(folder, DataSource(file="rows.jsonl", rows=RowRange("n", 2, 3)))
    assert part.sha256 == read(folder, DataSource(file="own.jsonl")).sha256


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (RowRange("n", 5, 9), "there is not a single row with n 5 to 9"),
        (RowRange("q", 1, 2), "the field 'q', which `rows.field` names, is no number"),
        (RowRange("m", 1, 2), "no field 'm', which `rows.field` names"),
    ],
)
def test_a_range_that_fits_nothing_is_an_error(folder: Path, part: RowRange, message: str) -> None:
    """Never an empty split."""
    with pytest.raises(DataError, match=message):
        read(folder, DataSource(file="rows.jsonl", rows=part))


def test_joined_rows_have_the_fields_of_both(folder: Path) -> None:
    """Ids are compared as texts, for a csv has nothing else; more rows in the second file do no harm."""
    (folder / "levels.csv").write_text("n,difficulty\n1,easy\n2,hard\n3,easy\n4,hard\n5,easy\n")
    found = read(folder, DataSource(file="rows.jsonl"), join=Join("levels.csv", "n"))
    assert ["easy", "easy", "hard", "hard"] == [row["difficulty"] for row in found.rows]
    assert "rows.jsonl + levels.csv" == found.origin
    assert found.sha256 != read(folder, DataSource(file="rows.jsonl")).sha256


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ("n,difficulty\n1,easy\n", "levels.csv has no row with n '3'"),
        ("n,difficulty\n1,easy\n1,hard\n", "n '1' is there twice"),
        ("n,q\n1,x\n2,x\n3,x\n4,x\n", "both this row and levels.csv have a field 'q'"),
        ("m,difficulty\n1,x\n", "no field 'n', which `join.on` names"),
    ],
)
def test_a_join_that_does_not_fit_is_an_error(folder: Path, levels: str, message: str) -> None:
    """A row without a partner would be in no group, in silence."""
    (folder / "levels.csv").write_text(levels)
    with pytest.raises(DataError, match=message):
        read(folder, DataSource(file="rows.jsonl"), join=Join("levels.csv", "n"))


def test_a_joined_file_that_is_missing_is_said(folder: Path) -> None:
    """It is not one source among others."""
    with pytest.raises(DataError, match="the file that the rows are joined with is not there"):
        read(folder, DataSource(file="rows.jsonl"), join=Join("levels.csv", "n"))
