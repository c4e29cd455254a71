"""JSON Schema → diagnostics: all of them, one for each mistake, at the key or value that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evalkit.spec import wording
from evalkit.spec.diagnostics import Diagnostic, Diagnostics
from evalkit.spec.nodes import Node, Path, find, format_path, nearest
from evalkit.spec.schemas import Kind, compiled
from evalkit.spec.wording import Wording

_VERBS = ("bench", "judge", "diagnose", "distil", "train", "compare")


def validate(root: Node, kind: Kind, diagnostics: Diagnostics, known: Sequence[Path] = ()) -> list[Path]:
    """Check a document's shape. Returns the paths of what is wrong; empty when the shape is right.

    `known` are paths whose values are known to be wrong; nothing more is said about them.
    """
    plain = root.plain()
    errors = list(compiled(kind).iter_errors(plain))
    unknown = _unknown_keys(errors)
    wrong: list[Path] = []
    for error in errors:
        path: Path = tuple(error.absolute_path)
        if path in known:
            continue
        if error.validator == "additionalProperties":
            for key in unknown[path]:
                _tell_unknown_key(root, path, key, error, diagnostics)
                wrong.append((*path, key))
        elif not _is_misspelt(error, unknown.get(path, [])):
            wrong.append(_tell(root, path, error, diagnostics))
    return wrong


def _unknown_keys(errors: list[Any]) -> dict[Path, list[str]]:
    return {
        tuple(error.absolute_path): [key for key in error.instance if key not in error.schema.get("properties", {})]
        for error in errors
        if error.validator == "additionalProperties"
    }


def _is_misspelt(error: Any, unknown: list[str]) -> bool:
    """A missing key beside an unknown one that looks like it is one mistake, and told as the unknown key."""
    if error.validator != "required":
        return False
    missing = [key for key in error.validator_value if key not in error.instance]
    return any(wording.suggested(key, name) for key in unknown for name in missing)


def _tell_unknown_key(root: Node, path: Path, key: str, error: Any, diagnostics: Diagnostics) -> None:
    said = wording.unknown_key(key, error.schema.get("properties", {}), error.instance)
    if path[:1] == ("steps",) and len(path) == 2 and key in _VERBS:
        said = Wording(said.message, "a step has one verb", said.allowed)
    diagnostics.add(_diagnostic(nearest(root, (*path, key)), path, said, at_key=True))


def _tell(root: Node, path: Path, error: Any, diagnostics: Diagnostics) -> Path:
    if "propertyNames" in error.absolute_schema_path:
        place = (*path, error.instance)
        said = _about_name(path, error)
        diagnostics.add(_diagnostic(nearest(root, place), path, said, at_key=True))
        return place
    if error.validator == "required" and path[:1] == ("steps",) and len(path) == 2:
        said = _about_verb(error)
        keys = [key for key in error.instance if said.hint and wording.suggested(key, said.hint.split("'")[1])]
        diagnostics.add(_diagnostic(nearest(root, (*path, *keys[:1])), path, said, at_key=True))
        return path
    said = wording.word(_called(path), error)
    of_map = error.validator in {"required", "minProperties", "maxProperties", "minItems", "maxItems"}
    diagnostics.add(_diagnostic(nearest(root, path), path, said, at_key=of_map))
    return path


def _about_name(path: Path, error: Any) -> Wording:
    if error.validator == "enum":
        return wording.word("scorer" if path[-1:] == ("score",) else "name", error)
    return Wording(f"'{error.instance}' cannot be a name", "letters, digits, '_' and '-', beginning with a letter")


def _about_verb(error: Any) -> Wording:
    """A step without a verb, or with a misspelt one."""
    verbs = error.schema["errorMessage"].partition(": ")[2].split(", ")
    near = next((verb for key in error.instance for verb in verbs if wording.suggested(key, verb)), None)
    return Wording(error.schema["errorMessage"], f"did you mean '{near}'?" if near else "")


def _called(path: Path) -> str:
    """What people call the value at a path: its key, or for an item of a list the list's key."""
    if path[-2:] == ("engine", "kind"):
        return "engine"
    return next((part for part in reversed(path) if isinstance(part, str)), "the document")


def _diagnostic(node: Node, path: Path, said: Wording, *, at_key: bool) -> Diagnostic:
    place = node.place
    assert place is not None, "the root of a document was written by somebody"
    span = place.name if at_key else place.value
    return Diagnostic(
        "error",
        place.file,
        span.line,
        span.column,
        span.length,
        said.message,
        said.hint,
        format_path(path),
        said.allowed,
    )


def prune(root: Node, wrong: list[Path]) -> Node:
    """The document without what is wrong, so that the rest of it can still be checked."""
    for path in sorted(wrong, key=len, reverse=True):
        root = _without(root, path)
    return root


def _without(node: Node, path: Path) -> Node:
    if not path or find(node, path) is None:
        return node
    head, rest = path[0], path[1:]
    if isinstance(head, str):
        entries = dict(node.map)
        if rest:
            entries[head] = _without(entries[head], rest)
        else:
            del entries[head]
        return Node(entries, node.place)
    items = list(node.items)
    if rest:
        items[head] = _without(items[head], rest)
    else:
        del items[head]
    return Node(items, node.place)
