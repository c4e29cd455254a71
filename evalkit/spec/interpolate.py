"""`${name}` in scalars: values of `vars:`. A scalar that is nothing but `${name}` keeps the value's type.

Prompts are templates of another language and notes are for people, so nothing is filled in under `tasks`, `meta` and
`about`. `$${` stands for `${` itself. `${env:NAME}` is left for the engine, and only where a key is declared.
"""

from __future__ import annotations

import re

from msgspec import Struct

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics, did_you_mean
from evalkit.spec.nodes import Node, Path, Place, Span

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_UNTOUCHED = frozenset({"tasks", "meta", "about", "vars"})
_ENVIRONMENT = "env:"


class Interpolated(Struct, frozen=True):
    """The document with every `${name}` filled in, the names that were used, and where that failed."""

    root: Node
    used: frozenset[str]
    failed: list[Path]


def interpolate(root: Node, diagnostics: Diagnostics) -> Interpolated:
    """Fill in every `${name}` that stands in a scalar."""
    filler = _Filler(root.get("vars"), diagnostics)
    entries = {key: child if key in _UNTOUCHED else filler.fill(child, (key,)) for key, child in root.map.items()}
    return Interpolated(Node(entries, root.place), frozenset(filler.used), filler.failed)


def escape(plain: Json) -> Json:
    """A document without places, written so that reading it fills nothing in where nothing is to be filled in."""
    return {key: child if key in _UNTOUCHED else _escaped(child, key) for key, child in plain.items()}


def _escaped(value: Json, key: str) -> Json:
    if isinstance(value, dict):
        return {name: child if name == "meta" else _escaped(child, name) for name, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child, "") for child in value]
    return value.replace("${", "$${") if isinstance(value, str) and key != "key" else value


class _Filler:
    def __init__(self, variables: Node | None, diagnostics: Diagnostics) -> None:
        self._values = {key: node.content for key, node in (variables.map if variables else {}).items()}
        self._diagnostics = diagnostics
        self.used: set[str] = set()
        self._broken: set[str] = set()
        self.failed: list[Path] = []
        for key, node in (variables.map if variables else {}).items():
            if isinstance(node.content, str) and "${" in node.content:
                message = "a variable cannot be made of others"
                diagnostics.error(node.place, ("vars", key), message, hint="write the value")
                self._broken.add(key)

    def fill(self, node: Node, path: Path) -> Node:
        if node.is_map:
            entries = node.map.items()
            return Node(
                {key: child if key == "meta" else self.fill(child, (*path, key)) for key, child in entries}, node.place
            )
        if node.is_list:
            return Node([self.fill(child, (*path, index)) for index, child in enumerate(node.items)], node.place)
        if isinstance(node.content, str) and "${" in node.content:
            return Node(self._filled(node, path), node.place)
        return node

    def _filled(self, node: Node, path: Path) -> Json:
        text: str = node.content
        whole = _REFERENCE.fullmatch(text)
        if whole is not None and whole[1] is not None:
            return self._value(whole[1], node, whole, path)
        return _REFERENCE.sub(
            lambda match: _spell("${" if match[1] is None else self._value(match[1], node, match, path)), text
        )

    def _value(self, name: str, node: Node, match: re.Match[str], path: Path) -> Json:
        if name.startswith(_ENVIRONMENT):
            if path[-1] != "key":
                message = "`${env:...}` may only stand where a key is declared"
                self._diagnostics.error(_inside(node, match), path, message, hint="secrets have no other place")
                self.failed.append(path)
            return match[0]
        if name not in self._values:
            hint = did_you_mean(name, self._values) or ("" if self._values else "there is no `vars:`")
            self._diagnostics.error(_inside(node, match), path, f"unknown variable '{name}'", hint=hint)
            self.failed.append(path)
            return match[0]
        self.used.add(name)
        if name in self._broken:
            self.failed.append(path)
        return self._values[name]


def _spell(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _inside(node: Node, match: re.Match[str]) -> Place | None:
    """The place of the reference within the text, where the text stands as it was written."""
    place = node.place
    if place is None or place.style not in ("plain", "quoted") or match.end() > place.span.length:
        return place
    column = place.span.column + match.start() + (place.style == "quoted")
    return Place(place.file, Span(place.span.line, column, match.end() - match.start()), "plain", place.key)
