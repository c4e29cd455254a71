"""`--set path=value`: the path is dotted, with `[i]` for items; the value is YAML. `null` deletes."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.spec.nodes import Node, Path, PathPart, Place, Span, format_path, parse_path
from evalkit.spec.reading import Reading

_FIXED = frozenset({"evalkit", "extends"})


class _Misplaced(Exception):
    """The path leads nowhere: `depth` is the part that does not fit."""

    def __init__(self, depth: int, message: str) -> None:
        super().__init__(message)
        self.depth = depth
        self.message = message


def apply(root: Node, overrides: Sequence[str], reading: Reading) -> Node:
    """The document with the overrides laid over it, in their order."""
    for number, text in enumerate(overrides, 1):
        root = _apply_one(root, text, f"<--set #{number}>", reading)
    return root


def _apply_one(root: Node, text: str, shown: str, reading: Reading) -> Node:
    reading.sources[shown] = text
    whole = Place(shown, Span(1, 1, max(1, len(text))), "plain")
    written, equals, wish = text.partition("=")
    if not equals:
        reading.diagnostics.error(whole, None, "`--set` needs path=value", hint="for example sample=10")
        return root
    parts = parse_path(written)
    if parts is None:
        name = Place(shown, Span(1, 1, max(1, len(written))), "plain")
        reading.diagnostics.error(
            name, None, f"'{written}' is not a path", hint="for example steps.one.model, or suite[0]"
        )
        return root
    path: Path = tuple(part.part for part in parts)
    if path[0] in _FIXED:
        reading.diagnostics.error(
            _place(shown, parts[0]), None, f"`{path[0]}` cannot be set here", hint="write it in the file"
        )
        return root
    value = _value(wish, shown, len(written) + 1, reading)
    if value is None:
        return root
    try:
        return _put(root, parts, 0, value, shown)
    except _Misplaced as error:
        shown_path = format_path(path[: error.depth])
        place = _place(shown, parts[error.depth])
        reading.diagnostics.error(
            place, path[: error.depth], error.message, hint=f"set {shown_path} as a whole" if shown_path else ""
        )
        return root


def _value(text: str, shown: str, column: int, reading: Reading) -> Node | None:
    """The value; a null node where nothing is written; None, with diagnostics, where it is not YAML."""
    if not text.strip():
        return Node(None, Place(shown, Span(1, column + 1, 1), "plain"))
    before = len(reading.diagnostics.all())
    value = reading.parse(text, shown, column=column)
    if value is None and len(reading.diagnostics.all()) == before:  # only a comment
        return Node(None, Place(shown, Span(1, column + 1, len(text)), "plain"))
    return value


def _place(shown: str, part: PathPart) -> Place:
    return Place(shown, Span(1, part.start + 1, part.end - part.start), "plain")


def _put(node: Node, parts: list[PathPart], depth: int, value: Node, shown: str) -> Node:
    if depth == len(parts):
        return _named(value, parts[-1], shown)
    part = parts[depth]
    if isinstance(part.part, int):
        return _put_item(node, parts, depth, value, shown)
    if not node.is_map:
        raise _Misplaced(depth, f"there is no map that could have a key '{part.part}'")
    entries = dict(node.map)
    if depth == len(parts) - 1 and value.content is None and part.part in entries:
        del entries[part.part]
        return Node(entries, node.place)
    below = entries.get(part.part) or Node({}, _named_place(part, shown))
    entries[part.part] = _put(below, parts, depth + 1, value, shown)
    return Node(entries, node.place)


def _put_item(node: Node, parts: list[PathPart], depth: int, value: Node, shown: str) -> Node:
    index = parts[depth].part
    assert isinstance(index, int)
    if not node.is_list:
        raise _Misplaced(depth, "there is no list here")
    if index >= len(node.items):
        raise _Misplaced(depth, f"the list has {len(node.items)} items, counted from 0")
    items = list(node.items)
    items[index] = _put(items[index], parts, depth + 1, value, shown)
    return Node(items, node.place)


def _named_place(part: PathPart, shown: str) -> Place:
    span = _place(shown, part).span
    return Place(shown, span, "block", span)


def _named(value: Node, part: PathPart, shown: str) -> Node:
    """The value, its key being the last part of the path."""
    assert value.place is not None
    key = _place(shown, part).span
    return Node(value.content, Place(shown, value.place.span, value.place.style, key))
