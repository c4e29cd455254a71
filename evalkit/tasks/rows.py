"""Files of rows: jsonl, json, csv and parquet, the first three also gzipped. Every row is an object of JSON values."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import hashlib
import io
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from os.path import normpath
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.core.types import Json

Row: TypeAlias = dict[str, Json]
Placed: TypeAlias = tuple[str, Row]
"""A row with its place for messages: `test.jsonl:12`."""

FORMATS = (".jsonl", ".json", ".csv", ".parquet")


class Rows(Struct, frozen=True):
    """The rows of one split. `places[i]` says where `rows[i]` stood; `origin` names the source without local paths,
    which are in `paths`.

    `sha256` is over the rows as values: the same rows as jsonl, gzipped jsonl or json have the same digest.
    """

    rows: list[Row]
    places: list[str]
    origin: str
    sha256: str
    paths: tuple[str, ...] = ()


def format_of(name: str) -> str | None:
    """The suffix in `FORMATS` that a file's name says, or None; `.gz` may follow all but parquet."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    suffix = suffixes[-2] if gzipped and len(suffixes) > 1 else (suffixes or [""])[-1]
    known = FORMATS[:-1] if gzipped else FORMATS
    return suffix if suffix in known else None


def parse_files(files: Sequence[tuple[str, Path]], origin: str) -> Rows:
    """All rows of the named files, in order. The names stand in messages, so they hold no local path.

    Raises DataError naming file and line for what is not a row, or when there is none at all.
    """
    placed = [item for name, path in files for item in _parse(name, path)]
    if not placed:
        raise DataError("there is not a single row", where=files[0][0])
    return rows_of(placed, origin, tuple(normpath(path) for _, path in files))


def rows_of(placed: Sequence[Placed], origin: str, paths: tuple[str, ...]) -> Rows:
    """Rows with their places and their digest."""
    return Rows(
        rows=[row for _, row in placed],
        places=[place for place, _ in placed],
        origin=origin,
        sha256=_digest(placed),
        paths=paths,
    )


def stream(name: str, path: Path) -> Iterator[Placed]:
    """The rows of a jsonl file one at a time, for files that are larger than memory. Raises DataError like reading."""
    number = 0
    try:
        with gzip.open(path) if name.lower().endswith(".gz") else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{name}:{number}"
                    yield place, _object(_load(line.decode("utf-8-sig" if number == 1 else "utf-8"), place), place)
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} of the line is not UTF-8", where=f"{name}:{number}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"the gzip file is broken: {error}", hint="fetch it again", where=name) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=name) from error


def count_rows(name: str, path: Path) -> int:
    """How many rows a file has. Lines are counted unread; the other formats are read. Raises DataError like reading."""
    suffix = format_of(name)
    if suffix == ".jsonl":
        return sum(bool(line.strip()) for line in _bytes(name, path).split(b"\n"))
    if suffix == ".parquet":
        from pyarrow import parquet

        return int(parquet.read_metadata(path).num_rows)
    return sum(1 for _ in _parse(name, path))


def _parse(name: str, path: Path) -> Iterable[Placed]:
    suffix = format_of(name)
    if suffix is None:
        raise DataError(
            "the format is not known", hint=f"known: {', '.join(FORMATS)}; all but parquet also with .gz", where=name
        )
    if suffix == ".parquet":
        return _parquet(name, path)
    return _PARSERS[suffix](name, _text(name, path))


def _text(name: str, path: Path) -> str:
    try:
        return _bytes(name, path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} is not UTF-8", where=name) from error


def _bytes(name: str, path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if name.lower().endswith(".gz") else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"the gzip file is broken: {error}", hint="fetch it again", where=name) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=name) from error


def _jsonl(name: str, text: str) -> Iterator[Placed]:
    # not splitlines(): JSON strings may hold U+2028 and its kin unescaped
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{name}:{number}"
            yield place, _object(_load(line, place), place)


def _json(name: str, text: str) -> Iterator[Placed]:
    value = _load(text, name)
    if not isinstance(value, list):
        raise DataError(
            "the file holds no list of rows", hint="[{...}, {...}], or .jsonl with a row a line", where=name
        )
    for number, item in enumerate(value, 1):
        place = f"{name}, row {number}"
        yield place, _object(item, place)


def _csv(name: str, text: str) -> Iterator[Placed]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        twice = [column for column, times in Counter(reader.fieldnames or ()).items() if times > 1]
        if twice:
            raise DataError(f"the column '{twice[0]}' is there twice", where=f"{name}:1")
        for row in reader:
            place = f"{name}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"not as many cells as the {len(reader.fieldnames or ())} columns", where=place)
            yield place, dict(row)
    except csv.Error as error:
        raise DataError(f"the csv is broken: {error}", where=f"{name}:{reader.reader.line_num}") from error


def _parquet(name: str, path: Path) -> Iterator[Placed]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise PrerequisiteError("parquet files need pyarrow", hint="pip install pyarrow", where=name) from error
    try:
        values = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"the parquet file is broken: {error}", hint="fetch it again", where=name) from error
    for number, row in enumerate(values, 1):
        place = f"{name}, row {number}"
        yield place, {key: _plain(value, f"{place}, field '{key}'") for key, value in row.items()}


def _plain(value: object, where: str) -> Json:
    """A parquet value as JSON: dates in ISO form, exact decimals as text, NaN as null."""
    if isinstance(value, dict):
        return {str(key): _plain(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta)):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, (str, int, bool)):
        return value
    raise DataError(f"a {type(value).__name__} is no JSON value", where=where)


def _load(text: str, where: str) -> Json:
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise DataError(f"broken JSON at {place}: {error.msg}", where=where) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"broken JSON: {error}", where=where) from error


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is not JSON")


def _object(value: Json, where: str) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"the row is no object but {_KINDS.get(type(value), 'null')}", where=where)
    return value


def _digest(placed: Sequence[Placed]) -> str:
    state = hashlib.sha256()
    for place, row in placed:
        line = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        try:
            state.update(line.encode() + b"\n")
        except UnicodeEncodeError as error:
            raise DataError("a string holds half a character (a lone surrogate)", where=place) from error
    return state.hexdigest()


_KINDS = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
_PARSERS: dict[str, Callable[[str, str], Iterator[Placed]]] = {".jsonl": _jsonl, ".json": _json, ".csv": _csv}
