"""Training sets: what is kept of a file, and what is said of one that is none."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from evalkit.core.errors import DataError
from evalkit.core.runfolder import TrainingCategory
from evalkit.core.types import Json
from evalkit.tasks.training import read_training


def written(folder: Path, rows: list[Json], name: str = "train.jsonl") -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path = folder / name
    path.write_bytes(gzip.compress(lines.encode(), mtime=0) if name.endswith(".gz") else lines.encode())
    return path


def of(labels: str) -> list[Json]:
    return [{"instruction": "?", "category": label} for label in labels]


def fails(folder: Path, content: str | bytes, by: str = "category", name: str = "train.jsonl") -> DataError:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_training(name, folder / name, by)
    return caught.value


def test_what_is_kept(tmp_path: Path) -> None:
    """Six rows of a and two of b at the end: two runs where 4 are expected (8 * 9 - 40) / 8."""
    path = written(tmp_path, of("aaaaaabb"))
    found = read_training("sets/train.jsonl", path, "category")
    assert (found.file, found.by, found.rows) == ("sets/train.jsonl", "category", 8)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.runs, found.expected_runs) == (2, 4.0)
    first, second = found.categories
    assert (first.name, first.rows, first.mean_position, first.longest_run) == ("a", 6, 3 / 8, 6)
    assert (second.name, second.rows, second.mean_position, second.longest_run) == ("b", 2, 7 / 8, 2)
    assert second.position_p == pytest.approx(2 / 28)  # of 28 pairs of places the two at either end
    assert first.position_p == second.position_p
    # the first of ten parts of eight rows has none
    assert second.parts == (None, 0.0, 0.0, 0.0, 0.0, None, 0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz", "train.json"])
def test_other_formats_say_the_same(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, of("aab"), name)
    if name == "train.json":
        path.write_text(json.dumps(of("aab")))
    plain = read_training("train.jsonl", written(tmp_path, of("aab")), "category")
    assert read_training(name, path, "category").categories == plain.categories


def test_a_field_may_lie_deeper(tmp_path: Path) -> None:
    """A key with a dot in it comes before a path; numbers and truth values name categories as well."""
    rows: list[Json] = [{"metadata": {"level": 1}}, {"metadata": {"level": True}}, {"metadata.level": "x"}]
    found = read_training("t.jsonl", written(tmp_path, rows, "t.jsonl"), "metadata.level")
    assert [one.name for one in found.categories] == ["1", "true", "x"]


def test_one_category(tmp_path: Path) -> None:
    """There is no order to speak of: both p are missing."""
    found = read_training("t.jsonl", written(tmp_path, of("a" * 20), "t.jsonl"), "category")
    assert found.runs_p is None
    assert found.categories == (
        TrainingCategory(name="a", rows=20, mean_position=0.5, parts=(1.0,) * 10, longest_run=20),
    )


def test_no_local_path_in_the_lock(tmp_path: Path) -> None:
    path = written(tmp_path, of("ab"))
    assert read_training(str(path), path, "category").file == "train.jsonl"


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        ("", "train.jsonl", "there is not a single row"),
        ('{"category": "a"}\n{"category"', "train.jsonl:2", "broken JSON at column 12: Expecting ':' delimiter"),
        ('{"category": "a"}\n\n[1]\n', "train.jsonl:3", "the row is no object but a list"),
        ('{"category": "a", "loss": NaN}\n', "train.jsonl:1", "broken JSON: NaN is not JSON"),
        (b'{"category": "a"}\n{"category": "\xff"}\n', "train.jsonl:2", "byte 14 of the line is not UTF-8"),
        ('{"category": "a"}\n{"kind": "a"}\n', "train.jsonl:2", "the row has no field 'category'"),
        ('{"category": null}\n', "train.jsonl:1", "the row names no category in 'category'"),
        ('{"category": ""}\n', "train.jsonl:1", "the row names no category in 'category'"),
        ('{"category": ["a"]}\n', "train.jsonl:1", "the field 'category' holds a list, no category"),
    ],
)
def test_what_is_no_training_set(tmp_path: Path, content: str | bytes, where: str, message: str) -> None:
    error = fails(tmp_path, content)
    assert (error.where, error.message) == (where, message)
    assert error.exit_code == 2


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"category": "a"}\r\n')
    assert read_training("t.jsonl", path, "category").rows == 1


def test_a_missing_file_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no training set data") as caught:
        read_training("data/train.jsonl", tmp_path / "data/train.jsonl", "category")
    assert str(tmp_path / "data/train.jsonl") in caught.value.hint


def test_a_broken_gzip_file(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"category": "a"}\n' * 100)
    assert "the gzip file is broken" in fails(tmp_path, whole[:-9], name="train.jsonl.gz").message
    assert "the gzip file is broken" in fails(tmp_path, b"no gzip", name="train.jsonl.gz").message


def test_a_field_of_texts_names_no_category(tmp_path: Path) -> None:
    lines = "".join(f'{{"category": "{index}"}}\n' for index in range(201))
    error = fails(tmp_path, lines)
    assert (error.where, error.message) == (
        "train.jsonl:201",
        "the field 'category' has more than 200 values: it names no category",
    )
