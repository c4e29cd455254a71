"""What one row of recorded answers says: whose answer it is, and the answer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from evalkit.core.errors import DataError
from evalkit.core.types import FinishReason, Json
from evalkit.engines.recordings import BROKEN_JSON, json_hint, value_at

DEFAULT_FIELDS = {"id": "task_id", "text": "completion"}
FURTHER = ("prompt_tokens", "completion_tokens", "seconds", "finish_reason", "logprob", "reward")
"""What a row may say beside its answer, and may leave out."""
KNOWN_FIELDS = ("id", "text", "task", "turn", "likelihoods", *FURTHER)
_FIELDS_HINT = "name the fields of the file: {file: ..., fields: {id: task_id, text: completion}}"
_ENDS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
}
"""Words of servers and engines for how an answer ended."""
Row: TypeAlias = dict[str, Raw]


class Place(Struct, frozen=True):
    """Whose answer a row is: task and turn are the same for all rows where no field says them."""

    task: str
    item: str
    turn: int


class Recorded(Struct, frozen=True):
    """One answer: a text, the log-probabilities of options, or both."""

    text: str | None
    likelihoods: tuple[float, ...] = ()
    finish_reason: FinishReason = "recorded"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    logprob: float | None = None
    reward: float | None = None


class RowReader:
    """Reads the rows of one file by the names that `fields` gives. `seen` are the optional names that a row had."""

    def __init__(self, path: Path, fields: dict[str, str]) -> None:
        self._path = path
        self._fields = fields
        self.seen: set[str] = set()

    def row(self, raw: bytes, line: int) -> Row:
        """The object in a line. Raises DataError, as all here do, with file, line and field."""
        try:
            return msgspec.json.decode(raw, type=dict[str, Raw])
        except BROKEN_JSON as error:
            raise self.error(line, f"is not a JSON object ({error})", hint=json_hint(error)) from error

    def place(self, row: Row, line: int) -> Place:
        """Whose answer the row is."""
        task = self._name(row, "task", line) if "task" in self._fields else ""
        return Place(task, self._name(row, "id", line), self._turn(row, line))

    def answer(self, row: Row, line: int) -> Recorded:
        """The answer that the row holds."""
        likelihoods = self._likelihoods(row, line)
        end = self._optional(row, "finish_reason", line)
        if end is not None and not isinstance(end, str):
            raise self.error(line, f"field '{self._fields['finish_reason']}' is not a text")
        seconds = self._number(row, "seconds", line)
        return Recorded(
            text=self._text(row, line, needed=not likelihoods),
            likelihoods=likelihoods,
            finish_reason=_ENDS.get(end or "", "recorded"),
            prompt_tokens=self._count(row, "prompt_tokens", line),
            completion_tokens=self._count(row, "completion_tokens", line),
            seconds=None if seconds is None else float(seconds),
            logprob=self._finite(row, "logprob", line),
            reward=self._finite(row, "reward", line),
        )

    def error(self, line: int, what: str, *, hint: str = "") -> DataError:
        """An error about the row in this line."""
        where = f"{self._path}:{line}" if line else str(self._path)
        return DataError(f"the row {what}", hint=hint or _FIELDS_HINT, where=where)

    def _turn(self, row: Row, line: int) -> int:
        if "turn" not in self._fields:
            return 0
        value = self._value(row, "turn", line)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(line, f"field '{self._fields['turn']}' is not the number of a turn")
        return value

    def _name(self, row: Row, name: str, line: int) -> str:
        value = self._value(row, name, line)
        if value is None or isinstance(value, dict | list):
            raise self.error(line, f"field '{self._fields[name]}' is no {name}")
        return value if isinstance(value, str) else str(value)

    def _text(self, row: Row, line: int, *, needed: bool) -> str | None:
        value = self._value(row, "text", line) if needed else self._look(row, "text", line)[1]
        if isinstance(value, str) or (value is None and not needed):
            return value
        raise self.error(line, f"field '{self._fields['text']}' is not a text")

    def _likelihoods(self, row: Row, line: int) -> tuple[float, ...]:
        """Log-probabilities; none where no field says them, or this row has none."""
        value = self._optional(row, "likelihoods", line)
        if value is None:
            return ()
        numbers = isinstance(value, list) and all(
            isinstance(one, int | float) and not isinstance(one, bool) and one <= 0 for one in value
        )
        if not numbers or not value:
            hint = "one number for each option, none of them above 0: [-3.2, -11.5, -8.1, -9.9]"
            raise self.error(line, f"field '{self._fields['likelihoods']}' is no list of log-probabilities", hint=hint)
        return tuple(float(one) for one in value)

    def _count(self, row: Row, name: str, line: int) -> int | None:
        number = self._number(row, name, line)
        if number is not None and number != int(number):
            raise self.error(line, f"field '{self._fields[name]}' is no whole number")
        return None if number is None else int(number)

    def _number(self, row: Row, name: str, line: int) -> float | None:
        value = self._optional(row, name, line)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise self.error(line, f"field '{self._fields[name]}' is no number of 0 or more")
        return value

    def _finite(self, row: Row, name: str, line: int) -> float | None:
        """Any number. JSON has no infinite ones, but a number with too many digits is read as one."""
        value = self._optional(row, name, line)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(line, f"field '{self._fields[name]}' is no number")
        if name == "logprob" and value > 0:
            raise self.error(line, f"field '{self._fields[name]}' is no log-probability: it is above 0")
        return float(value)

    def _optional(self, row: Row, name: str, line: int) -> Json:
        """What a row may leave out. None where it does, or where nobody asks."""
        if name not in self._fields:
            return None
        there, value = self._look(row, name, line)
        if there:
            self.seen.add(name)
        return value

    def _value(self, row: Row, name: str, line: int) -> Json:
        there, value = self._look(row, name, line)
        if not there:
            has = f"it has: {', '.join(row) or 'nothing'}"
            raise self.error(line, f"has no field '{self._fields[name]}'", hint=f"{has}; {_FIELDS_HINT}")
        return value

    def _look(self, row: Row, name: str, line: int) -> tuple[bool, Json]:
        field = self._fields[name]
        try:
            return value_at(row, field)
        except BROKEN_JSON as error:
            raise self.error(line, f"field '{field}' cannot be read ({error})", hint=json_hint(error)) from error
