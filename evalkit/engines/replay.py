"""Recorded answers: a file of rows, each with an item's id and the text that some model once gave.

`.jsonl` and `.json` (a list of objects), each also `.gz`. Rows of one id are its samples in the order of the file; of
one task and id, where `fields` says which field has the task. Of line files only the places of the rows are held; a
list has to be held whole.

`fields: {likelihoods: NAME}` names the field with recorded log-probabilities: a list of numbers, one for each option in
the order of the task. A row then has them, or a text, or both.
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

from evalkit.core.digest import digest
from evalkit.core.errors import DataError, SpecError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Fingerprint, Json, Likelihood, Model, Prompt, Request, Void
from evalkit.engines.filedigest import cached_digest

_DEFAULT_FIELDS = {"id": "task_id", "text": "completion"}
_KNOWN_FIELDS = ("id", "text", "task", "likelihoods")
_FIELDS_HINT = "name the fields of the file: {file: ..., fields: {id: task_id, text: completion}}"
_FORMAT = "1"
_BROKEN_FILE = (OSError, EOFError, zlib.error)
_BROKEN_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ReplayAdapter:
    """Registered as `replay`."""

    isolated = False

    def fingerprint(self, model: Model) -> Fingerprint:
        """The file's digest and the names of its fields. Raises SpecError when it is not there."""
        path = _file(model)
        with _reading(path):
            parts = {"file": cached_digest(path), "format": _FORMAT}
        return Fingerprint("replay", parts | {f"field {name}": field for name, field in _fields(model).items()}, True)

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        return None

    def check_weighing(self, model: Model) -> None:
        """Raises SpecError unless `fields` says where the recorded log-probabilities are."""
        if "likelihoods" not in _fields(model):
            raise SpecError(
                f"model '{model.name}' has recorded answers only, and a task wants its options weighed",
                hint="name the field with the log-probabilities, one for each option: fields: {likelihoods: logprobs}",
            )

    def open(self, model: Model, notify: Notify) -> ReplayEngine:
        """Find every row.

        Raises DataError with file, line and field for what cannot be read and for a row that has no id, or neither a
        text nor likelihoods, and when there is no row at all.
        """
        path = _file(model)
        rows = _ListRows(path) if _plain_name(path).endswith(".json") else _LineRows(path)
        return ReplayEngine(path, rows, _fields(model))


class ReplayEngine:
    """Answers from a file. What it does not hold is Void."""

    def __init__(self, path: Path, rows: _LineRows | _ListRows, fields: dict[str, str]) -> None:
        self._path = path
        self._rows = rows
        self._fields = fields
        self._places: dict[tuple[str, str], list[int]] = {}
        for line, place, raw in rows.scan():
            row = self._row(raw, line)
            if not self._likelihoods(row, line):
                self._text(row, line)
            self._places.setdefault((self._task(row, line), self._name(row, "id", line)), []).append(place)
        if not self._places:
            raise DataError(
                "there is not a single row", hint="give the file with the recorded answers", where=str(path)
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Recorded answers in the order of the file, after what is Void."""
        found: list[tuple[int, Request]] = []
        for request in requests:
            places = self._places.get((request.task if "task" in self._fields else "", request.item), [])
            if request.index < len(places):
                found.append((places[request.index], request))
            else:
                yield Void(request.key, self._absence(request, len(places)), "engine")
        found.sort(key=lambda pair: pair[0])
        raws = self._rows.read([place for place, _ in found])
        for (_, request), raw in zip(found, raws, strict=True):
            yield self._answer(request, self._row(raw, 0))

    def close(self) -> None:
        self._places = {}

    def _answer(self, request: Request, row: dict[str, Raw]) -> Completion | Void:
        known, wanted = self._likelihoods(row, 0), len(request.continuations)
        if wanted and len(known) != wanted:
            has = f"{len(known)} recorded log-probabilities" if known else "no recorded log-probabilities"
            return Void(request.key, f"{has} for the {wanted} options of item '{request.item}'", "engine")
        if not wanted and "likelihoods" in self._fields and not isinstance(self._given(row, "text"), str):
            return Void(request.key, f"no recorded text for item '{request.item}', only log-probabilities", "engine")
        return Completion(
            key=request.key,
            text="" if wanted else self._text(row, 0),
            finish_reason="recorded",
            effective=None,
            prompt_sha256=digest(request.prompt),
            likelihoods=tuple(map(Likelihood, known)) if wanted else (),
        )

    def _absence(self, request: Request, recorded: int) -> str:
        item = f"item '{request.item}'" + (f" of task '{request.task}'" if "task" in self._fields else "")
        if not recorded:
            return f"no recorded answer for {item} in {self._path.name}"
        return f"no recorded answer {request.index + 1} for {item}: {self._path.name} has {recorded}"

    def _row(self, raw: bytes, line: int) -> dict[str, Raw]:
        try:
            return msgspec.json.decode(raw, type=dict[str, Raw])
        except _BROKEN_JSON as error:
            raise self._error(line, f"is not a JSON object ({error})", hint=_json_hint(error)) from error

    def _task(self, row: dict[str, Raw], line: int) -> str:
        """The row's task; the same for all where no field says it."""
        return self._name(row, "task", line) if "task" in self._fields else ""

    def _name(self, row: dict[str, Raw], name: str, line: int) -> str:
        value = self._value(row, name, line)
        if value is None or isinstance(value, dict | list):
            raise self._error(line, f"field '{self._fields[name]}' is no {name}")
        return value if isinstance(value, str) else str(value)

    def _text(self, row: dict[str, Raw], line: int) -> str:
        value = self._value(row, "text", line)
        if not isinstance(value, str):
            raise self._error(line, f"field '{self._fields['text']}' is not a text")
        return value

    def _likelihoods(self, row: dict[str, Raw], line: int) -> list[float]:
        """The row's log-probabilities; none where no field says them, or this row has none."""
        value = self._given(row, "likelihoods")
        if value is None:
            return []
        numbers = isinstance(value, list) and all(
            isinstance(one, int | float) and not isinstance(one, bool) and one <= 0 for one in value
        )
        if not numbers or not value:
            hint = "one number for each option, none of them above 0: [-3.2, -11.5, -8.1, -9.9]"
            raise self._error(line, f"field '{self._fields['likelihoods']}' is no list of log-probabilities", hint=hint)
        return [float(one) for one in value]

    def _given(self, row: dict[str, Raw], name: str) -> Json:
        """The value of a field that a row need not have."""
        return self._value(row, name, 0) if self._fields.get(name) in row else None

    def _value(self, row: dict[str, Raw], name: str, line: int) -> Json:
        field = self._fields[name]
        if field not in row:
            has = f"it has: {', '.join(row) or 'nothing'}"
            raise self._error(line, f"has no field '{field}'", hint=f"{has}; {_FIELDS_HINT}")
        try:
            return msgspec.json.decode(row[field])
        except _BROKEN_JSON as error:
            raise self._error(line, f"field '{field}' cannot be read ({error})", hint=_json_hint(error)) from error

    def _error(self, line: int, what: str, *, hint: str = "") -> DataError:
        where = f"{self._path}:{line}" if line else str(self._path)
        return DataError(f"the row {what}", hint=hint or _FIELDS_HINT, where=where)


class _LineRows:
    """A file of one JSON object a line; a place is a byte offset (in the unpacked stream where it is packed)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def scan(self) -> Iterator[tuple[int, int, bytes]]:
        """Line number, place and content of every row; blank lines are no rows."""
        number = place = 0
        try:
            with _open(self._path) as stream:
                for number, line in enumerate(stream, 1):
                    row = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                    if row.strip():
                        yield number, place + len(line) - len(row), row
                    place += len(line)
        except _BROKEN_FILE as error:
            raise _unreadable(self._path, error, f"{self._path}:{number + 1}") from error

    def read(self, places: Sequence[int]) -> Iterator[bytes]:
        """The rows at ascending places, in one pass."""
        if not places:
            return
        with _reading(self._path), _open(self._path) as stream:
            for place in places:
                stream.seek(place)
                yield stream.readline()


class _ListRows:
    """A file that is one JSON list of objects; a place is a position in it, and stands for the line in messages."""

    def __init__(self, path: Path) -> None:
        with _reading(path), _open(path) as stream:
            content = stream.read().removeprefix(codecs.BOM_UTF8)
        if not content.strip():
            self._rows = []
            return
        try:
            self._rows = msgspec.json.decode(content, type=list[Raw])
        except _BROKEN_JSON as error:
            hint = _json_hint(error) or "one object a line belongs in a .jsonl file"
            raise DataError(f"the file is not a JSON list ({error})", hint=hint, where=str(path)) from error

    def scan(self) -> Iterator[tuple[int, int, bytes]]:
        for place, raw in enumerate(self._rows):
            yield place + 1, place, bytes(raw)

    def read(self, places: Sequence[int]) -> Iterator[bytes]:
        return (bytes(self._rows[place]) for place in places)


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What goes wrong with the file inside is a DataError that names it."""
    try:
        yield
    except _BROKEN_FILE as error:
        raise _unreadable(path, error, str(path)) from error


def _unreadable(path: Path, error: Exception, where: str) -> DataError:
    if isinstance(error, gzip.BadGzipFile):
        hint = "fetch it again, or take .gz off its name if it is not packed"
    elif isinstance(error, EOFError | zlib.error):
        hint = "the file is cut off or damaged: fetch or write it again"
    else:
        hint = "check that the file can be read"
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return DataError(f"the recorded answers in {path.name} cannot be read ({reason})", hint=hint, where=where)


def _json_hint(error: Exception) -> str:
    """What to do about a value that is the matter; nothing where it may be the choice of the fields."""
    if isinstance(error, UnicodeDecodeError):
        return "save the file as UTF-8"
    if isinstance(error, msgspec.ValidationError) and "out of range" in str(error):
        return "write a number of so many digits as a text"
    return ""


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz")


def _file(model: Model) -> Path:
    name = model.source.get("file")
    if not isinstance(name, str):
        raise SpecError(f"model '{model.name}' names no file of recorded answers", hint="add file: samples.jsonl")
    path = Path(name).expanduser()
    if not path.is_file():
        raise SpecError(f"the recorded answers {path} are not there", hint="check the path of model.file")
    if not _plain_name(path).endswith((".json", ".jsonl")):
        raise SpecError(f"{path.name} is no kind of file known here", hint="known: .jsonl, .json, and both with .gz")
    return path


def _fields(model: Model) -> dict[str, str]:
    given = model.source.get("fields") or {}
    unknown = sorted(set(given) - set(_KNOWN_FIELDS))
    if unknown:
        raise SpecError(
            f"recorded answers have no field called '{unknown[0]}'", hint=f"known: {', '.join(_KNOWN_FIELDS)}"
        )
    return _DEFAULT_FIELDS | given


ADAPTER = ReplayAdapter()
