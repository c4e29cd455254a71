"""Training sets: which categories a file's rows are of, and in which order. Read row by row, and only that is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from evalkit.core.digest import digest_file
from evalkit.core.errors import DataError
from evalkit.core.runfolder import TrainingCategory, TrainingLock
from evalkit.core.types import Json
from evalkit.stats.sequence import Place, order
from evalkit.tasks.rows import Placed, format_of, parse_files, stream

_MOST = 200
"""Categories: a field with more values than this names none."""
_SHOWN = 8


def read_training(file: str, path: Path, by: str) -> TrainingLock:
    """The composition and order of a training set. `file` is its name in messages and in the lock.

    `by` is a field of each row, or a path to one in its objects: `metadata.category`. Raises DataError for a file that
    is not there, naming the line for what is no row and for a row without that field.
    """
    name = Path(file).name if Path(file).expanduser().is_absolute() else file
    if not path.is_file():
        hint = f"it is looked for at {path}: a relative name starts from the spec's folder"
        raise DataError(f"there is no training set {name}", hint=hint)
    labels: list[str] = []
    known: set[str] = set()
    for place, row in _rows(name, path):
        label = _label(row, by, place)
        known.add(label)
        labels.append(label)
        if len(known) > _MOST:
            message = f"the field '{by}' has more than {_MOST} values: it names no category"
            raise DataError(message, hint="say which field does: by: FIELD", where=place)
    found = order(labels)
    if found is None:
        raise DataError("there is not a single row", where=name)
    return TrainingLock(
        file=name,
        sha256=digest_file(path),
        by=by,
        rows=found.n,
        categories=tuple(map(_category, found.places)),
        runs=found.runs.runs,
        expected_runs=found.runs.expected,
        runs_p=found.runs.p,
    )


def _category(place: Place) -> TrainingCategory:
    return TrainingCategory(
        name=place.label,
        rows=place.n,
        mean_position=place.mean_position,
        parts=place.parts,
        longest_run=place.longest_run,
        position_p=place.position_p,
    )


def _rows(name: str, path: Path) -> Iterator[Placed]:
    if format_of(name) == ".jsonl":
        yield from stream(name, path)
        return
    rows = parse_files([(name, path)], name)
    yield from zip(rows.places, rows.rows, strict=True)


def _label(row: dict[str, Json], by: str, place: str) -> str:
    """The category of a row. A number or a truth value stands for itself."""
    value = _field(row, by)
    if value is None or value == "":
        missing = by not in row and "." not in by
        message = f"the row has no field '{by}'" if missing else f"the row names no category in '{by}'"
        fields = ", ".join(list(row)[:_SHOWN])
        raise DataError(message, hint=f"its fields: {fields}; say by: FIELD where it has another name", where=place)
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        raise DataError(f"the field '{by}' holds {kind}, no category", hint="name a text in it: by: a.b", where=place)
    return sys.intern(value if isinstance(value, str) else json.dumps(value))


def _field(row: dict[str, Json], by: str) -> Json:
    if by in row:
        return row[by]
    value: Json = row
    for part in by.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
