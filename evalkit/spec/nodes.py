"""A document as a tree whose every value remembers where it was written.

Merging, desugaring and moving values around keeps their places, so a diagnostic about the long form still points at the
line that a person wrote. A node without a place is a default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.types import Json

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in its document: keys and list indices."""

Style = Literal["plain", "quoted", "literal", "folded", "block", "flow"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_STEP = re.compile(r"""\[(\d+)\] | \.? (?: "([^"]*)" | ([A-Za-z0-9_$][^.\[\]"\s]*) )""", re.VERBOSE)


class Span(Struct, frozen=True):
    """A stretch of one line; line and column count from 1, length is in characters."""

    line: int
    column: int
    length: int


class Place(Struct, frozen=True):
    """Where a value was written: `file` as shown to people, `key` the span of the key that names it.

    `indent` is the number of columns before each line of a literal (`|`) text.
    """

    file: str
    span: Span
    style: Style
    key: Span | None = None
    indent: int = 0

    @property
    def name(self) -> Span:
        """The span to point at when the key or the whole entry is meant."""
        return self.key or self.span

    @property
    def value(self) -> Span:
        """The span to point at when the value is meant: a map or list over many lines is known by its key."""
        return self.name if self.style == "block" else self.span


class Node(Struct, frozen=True):
    """A scalar, a map of nodes or a list of nodes. `place` None means that nobody wrote it: a default."""

    content: Json
    place: Place | None = None

    @property
    def is_map(self) -> bool:
        return isinstance(self.content, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.content, list)

    @property
    def map(self) -> dict[str, Node]:
        """The entries of a map; empty for anything else."""
        return self.content if isinstance(self.content, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; empty for anything else."""
        return self.content if isinstance(self.content, list) else []

    def get(self, key: str) -> Node | None:
        return self.map.get(key)

    def text(self, key: str) -> str | None:
        """The text under `key`, or None where there is none."""
        node = self.map.get(key)
        return node.content if node is not None and isinstance(node.content, str) else None

    def plain(self) -> Json:
        """The value without places, as JSON knows it."""
        if self.is_map:
            return {key: child.plain() for key, child in self.map.items()}
        if self.is_list:
            return [child.plain() for child in self.items]
        return self.content


def default(value: Json) -> Node:
    """A node that nobody wrote."""
    return derived(value, None)


def derived(value: Json, place: Place | None) -> Node:
    """A node for `value` that owes its existence to what was written at `place`. Nodes inside keep their own."""
    if isinstance(value, Node):
        return value
    if isinstance(value, dict):
        return Node({key: derived(child, place) for key, child in value.items()}, place)
    if isinstance(value, list):
        return Node([derived(child, place) for child in value], place)
    return Node(value, place)


def with_entries(node: Node, entries: dict[str, Node]) -> Node:
    """The map with other entries, in the same place."""
    return replace(node, content=entries)


def find(root: Node, path: Path) -> Node | None:
    """The node at `path`, or None."""
    node: Node | None = root
    for part in path:
        if node is None:
            return None
        if isinstance(part, str):
            node = node.map.get(part)
        else:
            node = node.items[part] if -1 < part < len(node.items) else None
    return node


def nearest(root: Node, path: Path) -> Node:
    """The node at `path`, or the closest one above it that was written by somebody."""
    for end in range(len(path), -1, -1):
        node = find(root, path[:end])
        if node is not None and node.place is not None:
            return node
    return root


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, parents first."""
    yield path, node
    for key, child in node.map.items():
        yield from walk(child, (*path, key))
    for index, child in enumerate(node.items):
        yield from walk(child, (*path, index))


def format_path(path: Path) -> str:
    """`steps.adapter.data[0]`; keys that hold other characters than letters, digits, `_` and `-` stand in quotes."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += ("." if shown else "") + (part if _BARE_KEY.fullmatch(part) else f'"{part}"')
    return shown


class PathPart(Struct, frozen=True):
    """One part of a written path, and the columns (from 0) where it was written."""

    part: str | int
    start: int
    end: int


def parse_path(text: str) -> list[PathPart] | None:
    """Read what `format_path` writes; None when it is not a path."""
    parts: list[PathPart] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (not parts and (match[1] or text.startswith("."))):
            return None
        if parts and not match[1] and text[position] != ".":
            return None
        key: str | int = int(match[1]) if match[1] else (match[2] if match[2] is not None else match[3])
        parts.append(PathPart(key, match.start() + text.startswith(".", match.start()), match.end()))
        position = match.end()
    return parts or None
