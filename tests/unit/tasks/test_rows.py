"""Files of rows: every format gives the same rows, every broken file names its line."""

from __future__ import annotations

import datetime
import gzip
import json
from pathlib import Path

import pytest

from evalkit.core.errors import DataError
from evalkit.tasks.rows import format_of, parse_files

ROWS = [{"id": "a", "n": 1, "deep": {"x": [1, None, True]}}, {"id": "b", "n": 2.5, "deep": {"x": []}}]


def write(folder: Path, name: str, content: str | bytes) -> list[tuple[str, Path]]:
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return [(name, path)]


def fails(files: list[tuple[str, Path]]) -> DataError:
    with pytest.raises(DataError) as caught:
        parse_files(files, "origin")
    return caught.value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.jsonl", "\n".join(json.dumps(row) for row in ROWS)),
        ("r.jsonl.gz", "\n\n".join(json.dumps(row) for row in ROWS) + "\n"),
        ("r.json", json.dumps(ROWS, indent=2)),
        ("r.JSON.gz", json.dumps(ROWS)),
    ],
)
def test_json_formats_give_the_same_rows_and_digest(tmp_path: Path, name: str, text: str) -> None:
    """The digest belongs to the rows, not to the bytes of their file."""
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (tmp_path / name).write_bytes(content)
    rows = parse_files([(name, tmp_path / name)], "somewhere")
    assert rows.rows == ROWS
    assert rows.origin == "somewhere"
    assert parse_files(write(tmp_path, "plain.json", json.dumps(ROWS)), "").sha256 == rows.sha256


def test_the_digest_changes_with_any_value(tmp_path: Path) -> None:
    """Another value, another order: another digest."""
    digests = {
        parse_files(write(tmp_path, "r.json", json.dumps(rows)), "").sha256
        for rows in (ROWS, ROWS[::-1], [ROWS[0], {**ROWS[1], "n": 2.25}], ROWS[:1])
    }
    assert len(digests) == 4


def test_csv_rows_are_texts(tmp_path: Path) -> None:
    """A csv has no types; quoted cells may hold commas and line breaks."""
    rows = parse_files(write(tmp_path, "r.csv", '\ufeffid,text\n1,"a, b"\n2,"two\nlines"\n'), "")
    assert rows.rows == [{"id": "1", "text": "a, b"}, {"id": "2", "text": "two\nlines"}]
    assert rows.places == ["r.csv:2", "r.csv:4"]


def test_parquet_values_become_json(tmp_path: Path) -> None:
    """Dates are ISO texts and NaN is null, so that rows can be written as strict JSON."""
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "id": ["a", "b"],
            "score": [0.5, float("nan")],
            "day": [datetime.date(2024, 2, 29), None],
            "choices": [{"text": ["x", "y"]}, {"text": []}],
        }
    )
    parquet.write_table(table, tmp_path / "r.parquet")
    rows = parse_files([("r.parquet", tmp_path / "r.parquet")], "")
    assert rows.rows == [
        {"id": "a", "score": 0.5, "day": "2024-02-29", "choices": {"text": ["x", "y"]}},
        {"id": "b", "score": None, "day": None, "choices": {"text": []}},
    ]
    assert rows.places == ["r.parquet, row 1", "r.parquet, row 2"]


def test_several_files_are_read_in_order(tmp_path: Path) -> None:
    """Shards are one data set; each row remembers its own file."""
    files = write(tmp_path, "a.jsonl", '{"x": 1}\n') + write(tmp_path, "b.jsonl", '\n{"x": 2}\n')
    rows = parse_files(files, "")
    assert rows.rows == [{"x": 1}, {"x": 2}]
    assert rows.places == ["a.jsonl:1", "b.jsonl:2"]


def test_a_line_separator_inside_a_string_is_no_new_line(tmp_path: Path) -> None:
    """JSON may hold U+2028 unescaped; Python's splitlines would cut there."""
    rows = parse_files(write(tmp_path, "r.jsonl", '{"x": "a\u2028b"}\n{"x": "c"}'), "")
    assert rows.rows == [{"x": "a\u2028b"}, {"x": "c"}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", '{"x": 1}\n{"x": 2', "r.jsonl:2: broken JSON at column 8: Expecting ',' delimiter"),
        ("r.jsonl", '{"x": 1}\n[1, 2]\n', "r.jsonl:2: the row is no object but a list"),
        ("r.jsonl", "null\n", "r.jsonl:1: the row is no object but null"),
        ("r.jsonl", '{"x": NaN}\n', "r.jsonl:1: broken JSON: NaN is not JSON"),
        ("r.jsonl", "[" * 100_000, "r.jsonl:1: broken JSON: maximum recursion depth"),
        ("r.jsonl", '{"x": "\\ud800"}', "r.jsonl:1: a string holds half a character"),
        ("r.jsonl", "\n \n", "r.jsonl: there is not a single row"),
        ("r.jsonl", b'{"x": "\xff"}', "r.jsonl: byte 7 is not UTF-8"),
        ("r.json", '{"data": []}', "r.json: the file holds no list of rows"),
        ("r.json", '[{"x": 1}, 5]', "r.json, row 2: the row is no object but a number"),
        ("r.json", "[\n  {,}\n]", "r.json: broken JSON at line 2, column 4"),
        ("r.csv", "a,b\n1,2\n3\n", "r.csv:3: not as many cells as the 2 columns"),
        ("r.csv", "a,b\n1,2,3\n", "r.csv:2: not as many cells as the 2 columns"),
        ("r.csv", "a,b,a\n1,2,3\n", "r.csv:1: the column 'a' is there twice"),
        ("r.csv.gz", "a,b\n1,2\n3\n", "r.csv.gz:3: not as many cells as the 2 columns"),
        ("r.json.gz", '[{"x": 1}, 5]', "r.json.gz, row 2: the row is no object but a number"),
        ("r.jsonl.gz", '{"x": 1}\n[]\n', "r.jsonl.gz:2: the row is no object but a list"),
        ("r.csv", 'a\n"open', "r.csv:2: the csv is broken"),
        ("r.parquet", b"PAR1 is not enough", "r.parquet: the parquet file is broken"),
        ("r.txt", "x", "r.txt: the format is not known"),
    ],
)
def test_broken_files_name_their_place(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    """Whoever has to mend the file is told where."""
    assert str(fails(write(tmp_path, name, content))).startswith(message)


def test_a_truncated_gzip_file_is_said_to_be_broken(tmp_path: Path) -> None:
    """Half a download is no data set."""
    content = gzip.compress(b'{"x": 1}\n' * 1000)
    (tmp_path / "r.jsonl.gz").write_bytes(content[: len(content) // 2])
    error = fails([("r.jsonl.gz", tmp_path / "r.jsonl.gz")])
    assert str(error).startswith("r.jsonl.gz: the gzip file is broken")
    assert error.hint == "fetch it again"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jsonl", ".jsonl"), ("a.b.json.gz", ".json"), ("a.parquet", ".parquet"), ("a.parquet.gz", None), ("gz", None)],
)
def test_formats_are_known_by_their_names(name: str, expected: str | None) -> None:
    """The suffix decides, `.gz` in addition."""
    assert expected == format_of(name)
