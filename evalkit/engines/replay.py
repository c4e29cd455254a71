"""Recorded answers: rows with an item's id and the text that some model once gave.

`.jsonl` and `.json` (a list of objects), each also `.gz`. Rows of one id are its samples in the order of the file; of
one task and id, where `fields` says which field has the task. Several files are several runs: the k-th answer to an
item is the one of the k-th file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from evalkit.core.digest import digest
from evalkit.core.errors import DataError, SpecError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Fingerprint, FinishReason, Json, Model, Prompt, Request, Void
from evalkit.engines.filedigest import cached_digest
from evalkit.engines.recordings import BROKEN_JSON, json_hint, open_rows, plain_name, reading, value_at

_DEFAULT_FIELDS = {"id": "task_id", "text": "completion"}
_NUMBERS = ("prompt_tokens", "completion_tokens", "seconds")
_FURTHER = (*_NUMBERS, "finish_reason")
_KNOWN_FIELDS = ("id", "text", "task", *_FURTHER)
_FIELDS_HINT = "name the fields of the file: {file: ..., fields: {id: task_id, text: completion}}"
_FORMAT = "1"
_ENDS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
}
"""Words of servers and engines for how an answer ended."""


class ReplayAdapter:
    """Registered as `replay`."""

    isolated = False

    def fingerprint(self, model: Model) -> Fingerprint:
        """The digests of the files and the names of their fields. Raises SpecError when one is not there."""
        paths = _files(model)
        parts = {"format": _FORMAT}
        for number, path in enumerate(paths, 1):
            with reading(path):
                parts["file" if len(paths) == 1 else f"file {number}"] = cached_digest(path)
        return Fingerprint("replay", parts | {f"field {name}": field for name, field in _fields(model).items()}, True)

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        return None

    def open(self, model: Model, notify: Notify) -> ReplayEngine:
        """Find every row.

        Raises DataError with file, line and field for what cannot be read, for a row that has no id or no text, for a
        field that no row has, and when there is no row at all.
        """
        paths, fields = _files(model), _fields(model)
        return ReplayEngine([_Recording(path, fields, alone=len(paths) == 1) for path in paths])


class ReplayEngine:
    """Answers from files. What they do not hold is Void."""

    def __init__(self, recordings: Sequence[_Recording]) -> None:
        self._recordings = recordings

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Recorded answers in the order of the files, after what is Void."""
        found: list[list[tuple[int, Request]]] = [[] for _ in self._recordings]
        for request in requests:
            number, index = (0, request.index) if len(self._recordings) == 1 else (request.index, 0)
            if number >= len(self._recordings):
                reason = f"no recorded answer {number + 1}: there are {len(self._recordings)} files"
                yield Void(request.key, reason, "engine")
                continue
            place = self._recordings[number].place(request, index)
            if isinstance(place, str):
                yield Void(request.key, place, "engine")
            else:
                found[number].append((place, request))
        for recording, places in zip(self._recordings, found, strict=True):
            yield from recording.answers(sorted(places, key=lambda pair: pair[0]))

    def close(self) -> None:
        self._recordings = ()


class _Answer(Struct, frozen=True):
    """What one row says."""

    text: str
    finish_reason: FinishReason = "recorded"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None


class _Recording:
    """One file. `alone`: its rows of one id are samples; otherwise it is one run of several, and has an id once."""

    def __init__(self, path: Path, fields: dict[str, str], *, alone: bool) -> None:
        self._path = path
        self._rows = open_rows(path)
        self._fields = fields
        self._seen: set[str] = set()
        self._places: dict[tuple[str, str], list[int]] = {}
        for line, place, raw in self._rows.scan():
            row = self._row(raw, line)
            self._answer(row, line)
            name = self._name(row, "id", line)
            places = self._places.setdefault((self._task(row, line), name), [])
            if places and not alone:
                hint = "several files are several runs, each with one answer to an item"
                raise self._error(line, f"is a second answer to item '{name}'", hint=hint)
            places.append(place)
        self._check_seen()

    def _check_seen(self) -> None:
        where = str(self._path)
        if not self._places:
            raise DataError("there is not a single row", hint="give the file with the recorded answers", where=where)
        for name in _FURTHER:
            if name in self._fields and name not in self._seen:
                message = f"no row has a field '{self._fields[name]}', which `fields.{name}` names"
                raise DataError(message, hint="`a.b` is the field b of what the field a holds", where=where)

    def place(self, request: Request, index: int) -> int | str:
        """Where the answer stands, or why there is none."""
        places = self._places.get((request.task if "task" in self._fields else "", request.item), [])
        if index < len(places):
            return places[index]
        item = f"item '{request.item}'" + (f" of task '{request.task}'" if "task" in self._fields else "")
        if not places:
            return f"no recorded answer for {item} in {self._path.name}"
        return f"no recorded answer {index + 1} for {item}: {self._path.name} has {len(places)}"

    def answers(self, places: Sequence[tuple[int, Request]]) -> Iterator[Completion]:
        """The answers at ascending places."""
        raws = self._rows.read([place for place, _ in places])
        for (_, request), raw in zip(places, raws, strict=True):
            answer = self._answer(self._row(raw, 0), 0)
            yield Completion(
                key=request.key,
                text=answer.text,
                finish_reason=answer.finish_reason,
                effective=None,
                prompt_sha256=digest(request.prompt),
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
                seconds=answer.seconds,
            )

    def _row(self, raw: bytes, line: int) -> dict[str, Raw]:
        try:
            return msgspec.json.decode(raw, type=dict[str, Raw])
        except BROKEN_JSON as error:
            raise self._error(line, f"is not a JSON object ({error})", hint=json_hint(error)) from error

    def _answer(self, row: dict[str, Raw], line: int) -> _Answer:
        text = self._value(row, "text", line)
        if not isinstance(text, str):
            raise self._error(line, f"field '{self._fields['text']}' is not a text")
        end = self._further(row, "finish_reason", line)
        if end is not None and not isinstance(end, str):
            raise self._error(line, f"field '{self._fields['finish_reason']}' is not a text")
        seconds = self._number(row, "seconds", line)
        return _Answer(
            text=text,
            finish_reason=_ENDS.get(end or "", "recorded"),
            prompt_tokens=self._count(row, "prompt_tokens", line),
            completion_tokens=self._count(row, "completion_tokens", line),
            seconds=None if seconds is None else float(seconds),
        )

    def _count(self, row: dict[str, Raw], name: str, line: int) -> int | None:
        number = self._number(row, name, line)
        if number is not None and number != int(number):
            raise self._error(line, f"field '{self._fields[name]}' is no whole number")
        return None if number is None else int(number)

    def _number(self, row: dict[str, Raw], name: str, line: int) -> float | None:
        value = self._further(row, name, line)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self._error(line, f"field '{self._fields[name]}' is no number of 0 or more")
        return value

    def _further(self, row: dict[str, Raw], name: str, line: int) -> Json:
        """What a row may leave out. None where it does, or where nobody asks."""
        if name not in self._fields:
            return None
        there, value = self._look(row, name, line)
        if there:
            self._seen.add(name)
        return value

    def _task(self, row: dict[str, Raw], line: int) -> str:
        """The row's task; the same for all where no field says it."""
        return self._name(row, "task", line) if "task" in self._fields else ""

    def _name(self, row: dict[str, Raw], name: str, line: int) -> str:
        value = self._value(row, name, line)
        if value is None or isinstance(value, dict | list):
            raise self._error(line, f"field '{self._fields[name]}' is no {name}")
        return value if isinstance(value, str) else str(value)

    def _value(self, row: dict[str, Raw], name: str, line: int) -> Json:
        there, value = self._look(row, name, line)
        if not there:
            has = f"it has: {', '.join(row) or 'nothing'}"
            raise self._error(line, f"has no field '{self._fields[name]}'", hint=f"{has}; {_FIELDS_HINT}")
        return value

    def _look(self, row: dict[str, Raw], name: str, line: int) -> tuple[bool, Json]:
        field = self._fields[name]
        try:
            return value_at(row, field)
        except BROKEN_JSON as error:
            raise self._error(line, f"field '{field}' cannot be read ({error})", hint=json_hint(error)) from error

    def _error(self, line: int, what: str, *, hint: str = "") -> DataError:
        where = f"{self._path}:{line}" if line else str(self._path)
        return DataError(f"the row {what}", hint=hint or _FIELDS_HINT, where=where)


def _files(model: Model) -> list[Path]:
    named = model.source.get("file")
    names = [named] if isinstance(named, str) else named
    if not names:
        raise SpecError(f"model '{model.name}' names no file of recorded answers", hint="add file: samples.jsonl")
    return [_file(name) for name in names]


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise SpecError(f"the recorded answers {path} are not there", hint="check the path of model.file")
    if not plain_name(path).endswith((".json", ".jsonl")):
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
