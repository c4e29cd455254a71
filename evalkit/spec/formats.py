"""The `format` of an answer: a JSON Schema that stands in the document, checked, and as the text that engines get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path, find, nearest

KIND = "json_schema"
_REFERENCES = ("$ref", "$dynamicRef")
_DATA = frozenset({"const", "enum", "default", "examples"})
"""Keywords that hold values and no schemas."""
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose keys are names and no keywords."""
_LONGEST = 200


def text(format_: Json) -> str:
    """The schema of a `format` as JSON without white space, its keys in the order in which they were written."""
    return json.dumps(format_[KIND], separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def check(format_: Node, path: Path, diagnostics: Diagnostics) -> None:
    """Say what keeps a `format` of right shape from being a JSON Schema that needs nothing outside of it."""
    schema = format_.map[KIND]
    path = (*path, KIND)
    error = _schema_error(schema.plain())
    if error is not None:
        inner = tuple(error.absolute_path)
        where = nearest(schema, inner).place or schema.place
        message = f"this is no JSON Schema: {_reason(error):.{_LONGEST}}"
        diagnostics.error(where, (*path, *inner), message)
        return
    for inner, reference in _references(schema, ()):
        _check_reference(schema, reference, (*path, *inner), diagnostics)


def _schema_error(schema: Json) -> Any:
    """What the meta-schema has to say, by jsonschema's best match; None for nothing."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return error
    return None


def _reason(error: Any) -> str:
    """The meta-schema's own words, but for a value of which they only say that it is none of several kinds."""
    if error.validator == "anyOf" and error.absolute_path and isinstance(error.absolute_path[-1], str):
        return f"`{error.absolute_path[-1]}` cannot be {error.instance!r}"
    words: str = error.message
    return words


def _references(schema: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    for index, child in enumerate(schema.items):
        yield from _references(child, (*path, index))
    for key, child in schema.map.items():
        if key in _REFERENCES:
            yield (*path, key), child
        elif key in _NAMED:
            for name, inner in child.map.items():
                yield from _references(inner, (*path, key, name))
        elif key not in _DATA:
            yield from _references(child, (*path, key))


def _check_reference(schema: Node, reference: Node, path: Path, diagnostics: Diagnostics) -> None:
    target = str(reference.content)
    if not target.startswith("#"):
        message = f"the reference '{target:.80}' leads out of the document"
        diagnostics.error(
            reference.place, path, message, hint="copy what it names under `$defs`: {$ref: '#/$defs/name'}"
        )
    elif target != "#" and not (target.startswith("#/") and _leads_somewhere(schema, target)):
        message = f"the reference '{target:.80}' leads nowhere"
        diagnostics.error(
            reference.place, path, message, hint="written as '#/$defs/name', it names a part of the schema"
        )


def _leads_somewhere(schema: Node, pointer: str) -> bool:
    """Whether a JSON pointer (RFC 6901) in a fragment names a part of the schema."""
    node: Node | None = schema
    for part in pointer[2:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        node = None if node is None else find(node, (int(name) if node.is_list and name.isdecimal() else name,))
    return node is not None
