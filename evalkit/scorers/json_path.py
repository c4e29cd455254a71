"""Paths into a JSON value: a small part of JSONPath (RFC 9535).

    $                     the whole value
    $.signature.returns   the value of a key
    $['type hint']        the same for a key that is no plain word
    $.effects[0]          an item by its place, from 0; [-1] is the last
    $.effects[*]          each item of a list, or each value of a map

What is not there is left out, as the standard says: a path finds any number of values, and none is no error.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from evalkit.core.errors import SpecError
from evalkit.core.types import Json

JsonPath: TypeAlias = tuple[str | int | None, ...]
"""Keys, places in lists, and None for each item."""

_STEP = re.compile(r"""\.(?P<word>[A-Za-z_][\w-]*)|\[(?:(?P<all>\*)|(?P<place>-?\d{1,9})|'(?P<key>[^'\\]*)')\]""")
_EXAMPLE = "path: '$.effects[*].description'"


def parse(text: Json) -> JsonPath:
    """The steps of a path. Raises SpecError, whose message goes on after the key that holds it."""
    if not isinstance(text, str) or not text.startswith("$"):
        raise SpecError(f"is a path that begins with $, not {text!r}", hint=_EXAMPLE)
    steps: list[str | int | None] = []
    at = 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise SpecError(f"cannot be read from '{text[at:]}' on", hint=_EXAMPLE)
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def values(path: JsonPath, whole: Json) -> list[Json]:
    """Every value that a path finds, in the order of the document."""
    found = [whole]
    for step in path:
        found = [inner for value in found for inner in _inner(value, step)]
    return found


def _step(found: re.Match[str]) -> str | int | None:
    if found["all"]:
        return None
    if found["place"]:
        return int(found["place"])
    return found["word"] or found["key"] or ""


def _inner(value: Json, step: str | int | None) -> list[Json]:
    if isinstance(value, dict):
        if step is None:
            return list(value.values())
        return [value[step]] if isinstance(step, str) and step in value else []
    if not isinstance(value, list):
        return []
    if step is None:
        return value
    return [value[step]] if isinstance(step, int) and -len(value) <= step < len(value) else []
