"""The JSON Schemas of the language, completed with the names of the plug-ins that are installed."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Literal

from evalkit.core import registry
from evalkit.core.types import Json

Kind = Literal["spec", "task"]


def schema_document(kind: Kind) -> dict[str, Json]:
    """One self-contained schema for the interpreter and for editors, plug-ins included."""
    schema = _shipped(kind)
    if kind == "spec":
        schema["properties"]["tasks"]["additionalProperties"] = {"$ref": "#/$defs/task"}
        schema["$defs"].update(_shipped("task")["$defs"])
        _add(schema["$defs"]["model_map"]["properties"]["engine"]["enum"], registry.names("engines"))
        _add(schema["properties"]["sandbox"]["properties"]["kind"]["enum"], registry.names("sandboxes"))
    _add(schema["$defs"]["task"]["properties"]["score"]["propertyNames"]["enum"], registry.names("scorers"))
    return schema


@cache
def compiled(kind: Kind) -> Json:
    """A jsonschema validator for one kind of document."""
    from jsonschema.validators import Draft202012Validator

    return Draft202012Validator(schema_document(kind))


def _shipped(kind: Kind) -> dict[str, Json]:
    text = resources.files(__package__).joinpath("schema", f"{kind}.schema.json").read_text("utf-8")
    document: dict[str, Json] = json.loads(text)
    return document


def _add(known: list[str], found: list[str]) -> None:
    known.extend(name for name in found if name not in known)
