"""The JSON Schemas of the language, completed with the names of the plug-ins that are installed."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Literal

from evalkit.core import registry
from evalkit.core.types import Json

Kind = Literal["spec", "task", "rubric"]

_VARIABLE = r"\$\{"


def schema_document(kind: Kind) -> dict[str, Json]:
    """One self-contained schema for editors, plug-ins included.

    The interpreter's own schema, which also takes what the interpreter has dealt with before it validates: `${name}`
    for a value, and `null` that deletes what `extends:` brought.
    """
    schema = _document(kind)
    if kind == "spec":
        for section in (*schema["properties"].values(), *schema["$defs"].values()):
            _relax(section)
    return schema


def _document(kind: Kind) -> dict[str, Json]:
    schema = _shipped(kind)
    if kind == "spec":
        schema["properties"]["tasks"]["additionalProperties"] = {"$ref": "#/$defs/task"}
        schema["$defs"].update(_shipped("task")["$defs"])
        rubrics = schema["properties"]["rubrics"]["additionalProperties"]
        rubrics["items"], rubrics["then"] = {"$ref": "#/$defs/criterion"}, {"$ref": "#/$defs/rubric"}
        schema["$defs"].update(_shipped("rubric")["$defs"])
        _add(schema["$defs"]["engine_name"]["enum"], registry.names("engines"))
        _add(schema["properties"]["sandbox"]["properties"]["kind"]["enum"], registry.names("sandboxes"))
    if kind != "rubric":
        _add(schema["$defs"]["task"]["properties"]["score"]["propertyNames"]["enum"], registry.names("scorers"))
    return schema


@cache
def compiled(kind: Kind) -> Json:
    """A jsonschema validator for one kind of document."""
    from jsonschema.validators import Draft202012Validator

    return Draft202012Validator(_document(kind))


def _shipped(kind: Kind) -> dict[str, Json]:
    text = resources.files(__package__).joinpath("schema", f"{kind}.schema.json").read_text("utf-8")
    document: dict[str, Json] = json.loads(text)
    return document


def _relax(schema: Json) -> None:
    """Let `${name}` and `null` stand for a value. Conditions (`if`) stay as they are."""
    if isinstance(schema, list):
        for child in schema:
            _relax(child)
    if not isinstance(schema, dict):
        return
    for key in ("properties", "$defs"):
        for child in schema.get(key, {}).values():
            _relax(child)
    for key in ("items", "additionalProperties", "then", "else", "allOf"):
        _relax(schema.get(key))
    if "type" in schema and "const" not in schema:
        _widen(schema)


def _widen(schema: dict[str, Json]) -> None:
    types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
    if "string" in types and "pattern" in schema:
        schema["pattern"] = f"({schema['pattern']})|{_VARIABLE}"
    elif "string" not in types:
        schema["pattern"] = _VARIABLE
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    schema["type"] = list(dict.fromkeys([*types, "string", "null"]))


def _add(known: list[str], found: list[str]) -> None:
    known.extend(name for name in found if name not in known)
