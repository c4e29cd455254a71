"""A wrong row is an error that names file, line (or row) and field: in every format, for each scorer that reads it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.core import registry
from evalkit.core.errors import DataError
from evalkit.core.types import Message
from evalkit.spec.model import DataSource, Task, TaskUse
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.samples import check, samples

Row = dict[str, Any]
USE = TaskUse("own", "own", "test")
GOOD: Row = {"id": "a", "q": "1+1?", "gold": "2"}


def as_jsonl(rows: list[Row]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[Row]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    target = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows), target)
    return bytes(target.getvalue())


FORMATS: list[tuple[str, Callable[[list[Row]], bytes], str]] = [
    ("r.jsonl", as_jsonl, "r.jsonl:2"),
    ("r.jsonl.gz", lambda rows: gzip.compress(as_jsonl(rows)), "r.jsonl.gz:2"),
    ("r.json", lambda rows: json.dumps(rows).encode(), "r.json, row 2"),
    ("r.json.gz", lambda rows: gzip.compress(json.dumps(rows).encode()), "r.json.gz, row 2"),
    ("r.csv", as_csv, "r.csv:3"),
    ("r.csv.gz", lambda rows: gzip.compress(as_csv(rows)), "r.csv.gz:3"),
    ("r.parquet", as_parquet, "r.parquet, row 2"),
]


def problem(folder: Path, name: str, content: bytes, scorer: str = "number", **changes: Any) -> str:
    """What is said of a file when its samples are made and checked, as a plan does it."""
    (folder / name).write_bytes(content)
    given: dict[str, Any] = {
        "name": "own", "about": "", "source": "", "license": "", "category": "own", "id": "{{ id }}",
        "data": {"test": (DataSource(file=name),)}, "scorer": scorer, "scorer_options": {"answer": "{{ gold }}"},
        "messages": (Message("user", "{{ q }}"),), "folder": folder,
    }  # fmt: skip
    task = Task(**(given | changes))
    with pytest.raises(DataError) as caught:
        check(
            registry.load("scorers", scorer)(task.scorer_options),
            samples(task, USE, read_rows(task, "test", [], lambda text: None), 0),
        )
    return str(caught.value)


@pytest.mark.parametrize(("name", "write", "place"), FORMATS)
def test_every_format_names_file_row_and_field(
    tmp_path: Path, name: str, write: Callable[[list[Row]], bytes], place: str
) -> None:
    """A value that the scorer cannot use, and a field that is not there."""
    bad = {"id": "b", "q": "1+2?", "gold": "three"}
    found = problem(tmp_path, name, write([GOOD, bad]), scorer_options={"field": "gold"})
    assert f"{place}: item b of task own: 'three' is no number; it is the field 'gold'" == found
    first = place.replace("2", "1").replace("3", "2")
    found = problem(tmp_path, name, write([GOOD, bad]), groups=("level",))
    assert f"{first}: no field 'level', which `groups` names" == found


NULLS = [format for format in FORMATS if "csv" not in format[0]]


@pytest.mark.parametrize(("name", "write", "place"), NULLS)
@pytest.mark.parametrize(
    ("field", "what"),
    [("gold", "score.number.answer of task own"), ("q", "prompt of task own"), ("id", "id of task own")],
)
def test_a_null_where_a_value_is_wanted(
    tmp_path: Path, name: str, write: Callable[[list[Row]], bytes], place: str, field: str, what: str
) -> None:
    """Never the word None in a prompt, an id or a gold answer. A csv has no nulls."""
    bad = {"id": "b", "q": "1+2?", "gold": "3", field: None}
    expected = f"{place}: the field '{field}' is null, and the {what} would print it as 'None'"
    assert expected == problem(tmp_path, name, write([GOOD, bad]))


ASSERTS = {"style": "asserts", "tests": "tests"}
KINDS: list[tuple[str, Row, Row, str]] = [
    # scorer, options, the wrong fields of row 2, what is said of it
    ("number", {"field": "gold"}, {"gold": True}, "item b of task own: 'True' is no number; it is the field 'gold'"),
    ("number", {"field": "gold"}, {"gold": [2]}, "item b of task own: '[2]' is no number; it is the field 'gold'"),
    ("number", {"answer": "{{ gold }}"}, {"gold": "x"}, "item b of task own: 'x' is no number; it is made by '{{ g"),
    ("exact", {"field": "gold"}, {"gold": []}, "item b of task own: '[]' is no gold answer; it is the field 'gold'"),
    ("exact", {"field": "gold"}, {"gold": ["a", " "]}, "item b of task own: ' ' is no gold answer; it is the field"),
    ("regex", {"pattern": "x", "field": "gold"}, {"gold": {}}, "item b of task own: '{}' is no gold answer; it is the"),
    (
        "json_schema",
        {"field": "gold"},
        {"gold": 5},
        "item b of task own: the field 'gold' is no JSON Schema: '5' is no",
    ),
    ("code", ASSERTS, {"tests": []}, "own/b: the field 'tests' holds no tests"),
    ("code", ASSERTS, {"tests": None}, "own/b: the field 'tests' holds no tests"),
    ("code", ASSERTS, {"tests": {"a": 1}}, "own/b: the field 'tests' holds no tests"),
    ("code", ASSERTS, {"tests": ["assert f(1)", 5]}, "own/b: the field 'tests' holds no tests"),
    ("code", {"style": "stdin", "tests": "tests"}, {"tests": "5"}, "own/b, field 'tests': the tests are no list"),
    ("ifeval", {}, {"kwargs": []}, "item b of task own: 1 instructions and 0 sets of arguments"),
    ("ifeval", {}, {"kwargs": "none"}, "item b of task own: the field 'kwargs' holds no list"),
    ("ifeval", {}, {"instruction_id_list": ["x:y"]}, "item b of task own: no instruction is called 'x:y'"),
]


@pytest.mark.parametrize(("scorer", "options", "wrong", "said"), KINDS)
def test_a_field_of_the_wrong_kind(tmp_path: Path, scorer: str, options: Row, wrong: Row, said: str) -> None:
    """Whatever a scorer reads of a row is looked at before a model is asked."""
    stdin = [{"input": "1", "output": "1"}]
    row = GOOD | {
        "gold": {"type": "object"} if scorer == "json_schema" else "2",
        "tests": stdin if options.get("style") == "stdin" else ["assert f(1) == 2"],
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }
    found = problem(tmp_path, "r.jsonl", as_jsonl([row, row | {"id": "b"} | wrong]), scorer, scorer_options=options)
    assert found.startswith(f"r.jsonl:2: {said}")
