"""Which JSON Schemas xgrammar makes hold whole. What it passes over is refused here, before anything is asked.

Found by trying each keyword with a document that breaks it (xgrammar 0.2.8): `uniqueItems`, `not`, `if`,
`dependent...`, several parts of `allOf`, overlapping parts of `oneOf`, what stands beside `$ref` or `anyOf`, the length
beside a `pattern`, look-around, and keywords without a `type` do nothing there. So this is a list of what works.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from evalkit.core.errors import SpecError
from evalkit.core.types import Json

_SAID = frozenset(
    ["$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description", "examples"]
) | {"readOnly", "title", "writeOnly"}
_NUMBER = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
_BY_TYPE = {
    "object": frozenset(["properties", "required", "additionalProperties", "minProperties", "maxProperties"]),
    "array": frozenset(["items", "prefixItems", "minItems", "maxItems"]),
    "string": frozenset(["minLength", "maxLength", "pattern", "format"]),
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_FORMATS = frozenset(["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"])
_ALONE = ("$ref", "anyOf", "allOf", "const", "enum")
_LOOK_AROUND = re.compile(r"\(\?(?!:)")
_LISTS = ("prefixItems", "anyOf", "allOf")
_MAPS = ("properties", "$defs", "definitions")
_SINGLE = ("items", "additionalProperties")


def check_enforced(schema: str) -> None:
    """Raises SpecError for a schema, given as its text, of which a part would not be enforced."""
    found = next(_unenforced(json.loads(schema), "$"), None)
    if found is not None:
        raise SpecError(
            f"a `format` that cannot be made to hold: at {found}",
            hint="leave it out of the format and check it in the score (`score: {json_schema: ...}`); docs/tasks.md "
            "says what a format may hold",
        )


def _unenforced(schema: Json, place: str) -> Iterator[str]:
    """What is not enforced, outer parts before inner ones, each with its place."""
    if isinstance(schema, bool):
        if not schema:
            yield f"{place}: `false` allows no value"
        return
    keys = [key for key in schema if key not in _SAID]
    form = next((key for key in _ALONE if key in schema), None)
    if form is not None:
        yield from (f"{place}: {what}" for what in _beside(schema, form, keys))
    elif "type" in schema:
        yield from (f"{place}: {what}" for what in _typed(schema, keys))
    elif keys:
        yield f"{place}: `{keys[0]}` needs a `type` beside it"
    for part, inner in _parts(schema):
        yield from _unenforced(inner, f"{place}.{part}")


def _beside(schema: Json, form: str, keys: list[str]) -> Iterator[str]:
    allowed = {form, "type"} if form in ("const", "enum") else {form}
    yield from (f"`{key}` beside `{form}`" for key in keys if key not in allowed)
    if form == "allOf" and len(schema["allOf"]) > 1:
        yield "several parts of `allOf`"
    if "type" in schema and form in ("const", "enum"):
        from jsonschema import Draft202012Validator

        of_type = Draft202012Validator({"type": schema["type"]})
        values = schema["enum"] if form == "enum" else [schema["const"]]
        yield from (f"{value!r:.60} is not of the `type` beside it" for value in values if not of_type.is_valid(value))


def _typed(schema: Json, keys: list[str]) -> Iterator[str]:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    allowed = {"type"}.union(*(_BY_TYPE[name] for name in types))
    yield from (f"`{key}`" for key in keys if key not in allowed)
    yield from (f"`{name}` is required and not in `properties`" for name in _undescribed(schema))
    if "pattern" in schema:
        yield from (f"`{key}` beside `pattern`" for key in ("minLength", "maxLength", "format") if key in schema)
        if _LOOK_AROUND.search(schema["pattern"]):
            yield f"look-around in the pattern {schema['pattern']!r:.60}"
    if "format" in schema:
        yield from (f"`{key}` beside `format`" for key in ("minLength", "maxLength") if key in schema)
        if schema["format"] not in _FORMATS:
            yield f"the string format '{schema['format']}'"


def _undescribed(schema: Json) -> list[str]:
    return [name for name in schema.get("required", ()) if name not in schema.get("properties", {})]


def _parts(schema: Json) -> Iterator[tuple[str, Json]]:
    for key in _MAPS:
        yield from ((f"{key}.{name}", inner) for name, inner in schema.get(key, {}).items())
    for key in _LISTS:
        yield from ((f"{key}[{number}]", inner) for number, inner in enumerate(schema.get(key, ())))
    for key in _SINGLE:
        if isinstance(schema.get(key), dict):
            yield key, schema[key]
