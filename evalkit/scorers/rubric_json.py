"""Checks of the JSON in an answer: its shape, and what is asked of the values that a path finds.

{json: {path: PATH, ...}} is met when everything that is asked holds. `count` and `mean_length` are for criteria that
give points for each hit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TypeAlias

from evalkit.core.errors import SpecError
from evalkit.core.types import Json
from evalkit.scorers import bounded, json_path, json_schema
from evalkit.scorers.rubric_answer import NO_JSON, Answer, Check, Finding, met, sound, whole_number
from evalkit.scorers.rubric_text import pattern_of

_SCHEMA_S = 5
_SEARCH_S = 2
_SHOWN = 80
_NO_JSON = Finding(0.0, "there is no JSON")
_EXAMPLE = "json: {path: '$.assertions[*]', min_count: 1}"

Asked: TypeAlias = Callable[[list[Json]], str]
"""Why the values that were found do not do; empty where they do."""


def matches(pattern: str, texts: list[str]) -> list[bool]:
    """In which of the texts a pattern is found. Runs in the helper process."""
    compiled = re.compile(pattern)
    return [compiled.search(text) is not None for text in texts]


def is_given(value: Json) -> bool:
    """A value that says something: no null, no empty text, list or map."""
    return value is not None and value not in ("", [], {})


def _schema(schema: Json) -> Check:
    wrong = json_schema.wrong_schema(schema)
    if wrong:
        raise SpecError(f"json_schema: is no JSON Schema: {wrong}", hint="json_schema: {type: object}")
    job = f"{json_schema.__name__}:first_violation"

    def find(answer: Answer, _: object) -> Finding:
        if answer.json is NO_JSON:
            return _NO_JSON
        violation = bounded.shared().call(job, {"schema": schema, "text": json.dumps(answer.json)}, _SCHEMA_S)
        return met(violation is None, violation or "")

    return Check(find)


def _json(written: Json) -> Check:
    path = _path("json", written, set(_ASKED))
    asked = {name: made(name, written[name]) for name, made in _ASKED.items() if name in written}
    if not asked:
        raise SpecError("json: asks nothing of what the path finds", hint=_EXAMPLE)

    def find(answer: Answer, _: object) -> Finding:
        if answer.json is NO_JSON:
            return _NO_JSON
        found = json_path.values(path, answer.json)
        reasons = (one(found) for one in asked.values())
        wrong = next((reason for reason in reasons if reason), "")
        return met(not wrong, f"{written['path']}: {wrong}")

    return Check(find, shallow=_SHALLOW.issuperset(asked))


def _count(written: Json) -> Check:
    path = _path("count", written, {"regex"})
    pattern = pattern_of("count.regex", written["regex"]) if "regex" in written else None

    def find(answer: Answer, _: object) -> Finding:
        if answer.json is NO_JSON:
            return _NO_JSON
        found = json_path.values(path, answer.json)
        hits = len(found) if pattern is None else sum(_found(pattern, found))
        return Finding(float(hits), f"{hits} of {written['path']}")

    return Check(find, counts=True, shallow=True)


def _mean_length(written: Json) -> Check:
    path = _path("mean_length", written, {"per"})
    per = written.get("per", 1)
    if isinstance(per, bool) or not isinstance(per, int | float) or not 0 < per < math.inf:
        raise SpecError(f"mean_length.per: is a number above 0, not {per!r}", hint="per: 10")

    def find(answer: Answer, _: object) -> Finding:
        if answer.json is NO_JSON:
            return _NO_JSON
        mean = _mean(json_path.values(path, answer.json))
        return Finding(mean / per, f"a mean length of {mean:.4g}")

    return Check(find, counts=True, shallow=True)


def _path(name: str, written: Json, known: set[str]) -> json_path.JsonPath:
    if not isinstance(written, dict) or "path" not in written:
        raise SpecError(f"{name}: needs a `path`", hint=f"{name}: {{path: '$.assertions[*]'}}")
    unknown = sorted(set(written) - known - {"path"})
    if unknown:
        raise SpecError(f"{name}: knows no '{unknown[0]}'", hint=f"known: {', '.join(['path', *sorted(known)])}")
    try:
        return json_path.parse(written["path"])
    except SpecError as error:
        raise SpecError(f"{name}.path: {error.message}", hint=error.hint) from error


def _found(pattern: str, values: list[Json]) -> list[bool]:
    """Of each value whether the pattern is in it; what is no text is read as its JSON."""
    texts = [sound(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for value in values]
    found: list[bool] = bounded.shared().call(f"{__name__}:matches", {"pattern": pattern, "texts": texts}, _SEARCH_S)
    return found


def _mean(values: list[Json]) -> float:
    """The mean length of the texts; 0 where there is none."""
    lengths = [len(value) for value in values if isinstance(value, str)]
    return sum(lengths) / len(lengths) if lengths else 0.0


def _exists(name: str, written: Json) -> Asked:
    if not isinstance(written, bool):
        raise SpecError(f"json.{name}: is true or false, not {written!r}")
    return lambda found: "" if any(map(is_given, found)) == written else ("nothing" if written else "it is there")


def _min_count(name: str, written: Json) -> Asked:
    limit = whole_number(f"json.{name}", written)
    return lambda found: "" if len(found) >= limit else f"{len(found)} found"


def _max_count(name: str, written: Json) -> Asked:
    limit = whole_number(f"json.{name}", written, 0)
    return lambda found: "" if len(found) <= limit else f"{len(found)} found"


def _any_regex(name: str, written: Json) -> Asked:
    pattern = pattern_of(f"json.{name}", written)
    return lambda found: "" if any(_found(pattern, found)) else f"no match of {pattern[:_SHOWN]}"


def _all_regex(name: str, written: Json) -> Asked:
    pattern = pattern_of(f"json.{name}", written)
    return lambda found: "" if all(_found(pattern, found)) else f"not each matches {pattern[:_SHOWN]}"


def _all_have(name: str, written: Json) -> Asked:
    if not isinstance(written, str) or not written:
        raise SpecError(f"json.{name}: is the name of a key, not {written!r}", hint="all_have: type_hint")

    def asked(found: list[Json]) -> str:
        have = all(isinstance(value, dict) and is_given(value.get(written)) for value in found)
        return "" if have else f"not each has '{written}'"

    return asked


def _min_length(name: str, written: Json) -> Asked:
    limit = whole_number(f"json.{name}", written)
    return lambda found: "" if _mean(found) >= limit else f"a mean length of {_mean(found):.4g}"


def _equals(name: str, written: Json) -> Asked:
    wanted = json.dumps(written, sort_keys=True)
    return lambda found: (
        "" if any(json.dumps(value, sort_keys=True) == wanted for value in found) else f"none is {wanted[:_SHOWN]}"
    )


_ASKED: dict[str, Callable[[str, Json], Asked]] = {
    "exists": _exists,
    "min_count": _min_count,
    "max_count": _max_count,
    "regex": _any_regex,
    "all_regex": _all_regex,
    "all_have": _all_have,
    "min_length": _min_length,
    "equals": _equals,
}
_SHALLOW = frozenset({"regex", "all_regex", "min_length", "min_count"})
MAKERS: dict[str, Callable[[Json], Check]] = {
    "json_schema": _schema,
    "json": _json,
    "count": _count,
    "mean_length": _mean_length,
}
