"""Files of recorded answers as rows: one JSON object a line, or one list of objects; either may be packed.

Of line files only the places of the rows are held; a list has to be held whole.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from msgspec import Raw

from evalkit.core.errors import DataError
from evalkit.core.types import Json

_BROKEN_FILE = (OSError, EOFError, zlib.error)
BROKEN_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def open_rows(path: Path) -> LineRows | ListRows:
    """The rows of a file, by the kind that its name says."""
    return ListRows(path) if plain_name(path).endswith(".json") else LineRows(path)


def value_at(row: dict[str, Raw], field: str) -> tuple[bool, Json]:
    """Whether a row has a field, and what is in it. `a.b.0` is the first of what `b` of `a` holds, unless a field is
    called so. Raises one of `BROKEN_JSON`."""
    if field in row:
        return True, msgspec.json.decode(row[field])
    head, *rest = field.split(".")
    if head not in row:
        return False, None
    value = msgspec.json.decode(row[head])
    for part in rest:
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return False, None
    return bool(rest), value


class LineRows:
    """A file of one JSON object a line; a place is a byte offset (in the unpacked stream where it is packed)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def scan(self) -> Iterator[tuple[int, int, bytes]]:
        """Line number, place and content of every row; blank lines are no rows."""
        number = place = 0
        try:
            with _opened(self._path) as stream:
                for number, line in enumerate(stream, 1):
                    row = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                    if row.strip():
                        yield number, place + len(line) - len(row), row
                    place += len(line)
        except _BROKEN_FILE as error:
            raise unreadable(self._path, error, f"{self._path}:{number + 1}") from error

    def read(self, places: Sequence[int]) -> Iterator[bytes]:
        """The rows at ascending places, in one pass."""
        if not places:
            return
        with reading(self._path), _opened(self._path) as stream:
            for place in places:
                stream.seek(place)
                yield stream.readline()


class ListRows:
    """A file that is one JSON list of objects; a place is a position in it, and stands for the line in messages."""

    def __init__(self, path: Path) -> None:
        with reading(path), _opened(path) as stream:
            content = stream.read().removeprefix(codecs.BOM_UTF8)
        if not content.strip():
            self._rows = []
            return
        try:
            self._rows = msgspec.json.decode(content, type=list[Raw])
        except BROKEN_JSON as error:
            hint = json_hint(error) or "one object a line belongs in a .jsonl file"
            raise DataError(f"the file is not a JSON list ({error})", hint=hint, where=str(path)) from error

    def scan(self) -> Iterator[tuple[int, int, bytes]]:
        for place, raw in enumerate(self._rows):
            yield place + 1, place, bytes(raw)

    def read(self, places: Sequence[int]) -> Iterator[bytes]:
        return (bytes(self._rows[place]) for place in places)


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong with the file inside is a DataError that names it."""
    try:
        yield
    except _BROKEN_FILE as error:
        raise unreadable(path, error, str(path)) from error


def unreadable(path: Path, error: Exception, where: str) -> DataError:
    if isinstance(error, gzip.BadGzipFile):
        hint = "fetch it again, or take .gz off its name if it is not packed"
    elif isinstance(error, EOFError | zlib.error):
        hint = "the file is cut off or damaged: fetch or write it again"
    else:
        hint = "check that the file can be read"
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return DataError(f"the recorded answers in {path.name} cannot be read ({reason})", hint=hint, where=where)


def json_hint(error: Exception) -> str:
    """What to do about a value that is the matter; nothing where it may be the choice of the fields."""
    if isinstance(error, UnicodeDecodeError):
        return "save the file as UTF-8"
    if isinstance(error, msgspec.ValidationError) and "out of range" in str(error):
        return "write a number of so many digits as a text"
    return ""


def plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz")
