"""Tests of programs that read stdin and print, in the forms that data sets give them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from evalkit.core.errors import DataError
from evalkit.core.types import Json

_HINT = 'a list of {"input": TEXT, "output": TEXT}, or {"inputs": [TEXT], "outputs": [TEXT]}; JSON in a string is read'


def stdin_tests(value: Json, where: str) -> tuple[str, ...]:
    """The tests of one row as `Program.tests` wants them.

    Forms: a list of objects with `input` and `output` (LiveCodeBench) or `stdin` and `stdout`; an object with the lists
    `inputs` and `outputs` (APPS); either as JSON in a string. Raises DataError.
    """
    pairs = _pairs(_parsed(value, where), where)
    if not pairs:
        raise DataError("there are no tests", where=where, hint=_HINT)
    return tuple(json.dumps({"stdin": given, "stdout": wanted}) for given, wanted in pairs)


def _parsed(value: Json, where: str) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise DataError(f"the tests are no JSON: {error}", where=where, hint=_HINT) from error


def _pairs(value: Json, where: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        given, wanted = value.get("inputs", ""), value.get("outputs", "")
        if not (_is_list(given) and _is_list(wanted) and len(given) == len(wanted)):
            raise DataError("inputs and outputs are not two lists of one length", where=where, hint=_HINT)
        return [(_text(one, where), _text(other, where)) for one, other in zip(given, wanted, strict=True)]
    if not _is_list(value):
        raise DataError("the tests are no list", where=where, hint=_HINT)
    return [_pair(item, where) for item in value]


def _pair(item: Json, where: str) -> tuple[str, str]:
    for given, wanted in (("input", "output"), ("stdin", "stdout")):
        if isinstance(item, Mapping) and given in item and wanted in item:
            return _text(item[given], where), _text(item[wanted], where)
    raise DataError("a test has no input and output", where=where, hint=_HINT)


def _text(value: Json, where: str) -> str:
    """A list of lines is joined, as APPS has some."""
    if isinstance(value, str):
        return value
    if _is_list(value) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    raise DataError("input and output must be text", where=where, hint=_HINT)


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
