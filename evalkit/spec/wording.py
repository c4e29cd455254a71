"""The words for what JSON Schema found: one message and one hint for each keyword."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from evalkit.core.types import Json
from evalkit.spec import scalars
from evalkit.spec.diagnostics import did_you_mean

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
}
_SPOKEN_BOOLEANS = frozenset({"yes", "no", "on", "off", "y", "n"})
_LONGEST_QUOTE = 40
_NOUNS = {"embedded": "embedded model", "kind": "sandbox"}

# What other tools call it → what it is called here.
_SYNONYMS = {
    "batch_size": "batch",
    "dataset": "task",
    "learning_rate": "lr",
    "limit": "sample",
    "max_new_tokens": "max_tokens",
    "max_length": "max_tokens",
    "metric": "score",
    "n": "samples",
    "num_epochs": "epochs",
    "num_samples": "samples",
    "description": "about",
    "repeats": "samples",
    "scorer": "score",
    "stop_sequences": "stop",
    "subset": "config",
    "temp": "temperature",
    "template": "prompt",
}


class Wording(Struct, frozen=True):
    """What is said of one mistake."""

    message: str
    hint: str = ""
    allowed: tuple[str, ...] = ()


def unknown_key(key: str, allowed: Mapping[str, Json], present: Mapping[str, Json]) -> Wording:
    """A key that the map does not have; keys that do not stand there yet are suggested first."""
    free = [name for name in allowed if name not in present]
    synonym = _SYNONYMS.get(key)
    near = did_you_mean(key, free) or did_you_mean(key, allowed)
    hint = f"did you mean '{synonym}'?" if synonym in free else near
    return Wording(f"unknown key '{_cut(key)}'", hint, tuple(sorted(allowed)))


def suggested(key: str, wanted: str) -> bool:
    """True when an unknown `key` is most likely a misspelt `wanted`."""
    return _SYNONYMS.get(key) == wanted or bool(did_you_mean(key, [wanted]))


def describe(value: Json) -> str:
    """`the text "2e-4"`, `the number 5`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{_cut(value)}"'
        case list():
            return "a list"
        case _:
            return "a map"


def word(name: str, error: Any) -> Wording:
    """What is said of a jsonschema ValidationError about the value called `name`."""
    spoken = error.schema.get("errorMessage") if isinstance(error.schema, dict) else None
    if spoken is not None:
        return Wording(spoken)
    phrase = _PHRASES.get(error.validator)
    return phrase(name, error) if phrase is not None else Wording(f"`{name}` is not right: {_cut(error.message)}")


def _type(name: str, error: Any) -> Wording:
    wanted = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
    expected = " or ".join(_TYPES[kind] for kind in wanted)
    value = error.instance
    message = f"`{name}` must be {expected}, got {describe(value)}"
    return Wording(message, _type_hint(value, wanted))


def _type_hint(value: Json, wanted: list[str]) -> str:
    if value is None:
        return "give it a value, or remove the key"
    if isinstance(value, str) and {"number", "integer"} & set(wanted) and scalars.looks_like_number(value):
        return "quotes make it text; without them it is a number"
    if isinstance(value, str) and "boolean" in wanted and value.lower() in _SPOKEN_BOOLEANS:
        return "write true or false"
    if isinstance(value, bool | int | float) and "string" in wanted:
        return "put quotes around it"
    if wanted == ["array"] and not isinstance(value, dict):
        return f"write [{_scalar(value)}]"
    return ""


def _enum(name: str, error: Any) -> Wording:
    known = [str(value) for value in error.validator_value]
    shown = _cut(_scalar(error.instance))
    return Wording(f"unknown {_NOUNS.get(name, name)} '{shown}'", did_you_mean(shown, known), tuple(known))


def _pattern(name: str, error: Any) -> Wording:
    description = error.schema.get("description", "").rstrip(".")
    return Wording(f"'{_cut(error.instance)}' cannot be `{name}`", description[:1].lower() + description[1:])


def _required(name: str, error: Any) -> Wording:
    missing = next(key for key in error.validator_value if key not in error.instance and f"'{key}'" in error.message)
    return Wording(f"missing key '{missing}'")


def _bound(phrase: str) -> Callable[[str, Any], Wording]:
    def wording(name: str, error: Any) -> Wording:
        return Wording(f"`{name}` must be {phrase} {error.validator_value}, got {_scalar(error.instance)}")

    return wording


def _count(phrase: str, noun: str) -> Callable[[str, Any], Wording]:
    def wording(name: str, error: Any) -> Wording:
        limit = error.validator_value
        plural = "" if limit == 1 else "s"
        return Wording(f"`{name}` must have {phrase} {limit} {noun}{plural}, it has {len(error.instance)}")

    return wording


def _empty(name: str, error: Any) -> Wording:
    return Wording(f"`{name}` is empty", "give it a value, or remove the key")


_PHRASES: dict[str, Callable[[str, Any], Wording]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "required": _required,
    "minimum": _bound("at least"),
    "maximum": _bound("at most"),
    "exclusiveMinimum": _bound("more than"),
    "exclusiveMaximum": _bound("less than"),
    "minItems": _count("at least", "item"),
    "maxItems": _count("at most", "item"),
    "minProperties": _count("at least", "key"),
    "maxProperties": _count("at most", "key"),
    "minLength": _empty,
    "maxLength": _count("at most", "character"),
}


def _scalar(value: Json) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
