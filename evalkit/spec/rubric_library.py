"""Finding rubrics: inline, shipped or by their path. Each is read and checked once."""

from __future__ import annotations

import posixpath
from functools import cache
from pathlib import Path

from msgspec import Struct

from evalkit import assets
from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.model import Rubric
from evalkit.spec.nodes import Node, derived
from evalkit.spec.nodes import Path as NodePath
from evalkit.spec.reading import YAML_SUFFIXES, Reading, nearest_file
from evalkit.spec.validate import validate

_SETTINGS = ("scale", "turn", "judge", "criteria")
_SHALLOW = "the rubric '{}' measures nothing but length and keywords, which need not say whether an answer is right"


@cache
def shipped_rubrics() -> dict[str, Path]:
    """The rubrics that come with evalkit, by name."""
    folder = assets.folder("specs") / "rubrics"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder.is_dir() else {}


class FoundRubric(Struct, frozen=True):
    """A rubric in use: what it means, and its document without places."""

    rubric: Rubric
    document: Node

    @property
    def options(self) -> Node:
        """What a scorer gets in place of the name."""
        given = self.document.map
        named = {"rubric": derived(self.rubric.name, self.document.place)}
        return Node({**named, **{key: given[key] for key in _SETTINGS if key in given}}, self.document.place)


class RubricLibrary:
    """The rubrics that one document can name. `used` are those that are defined or in use, by name."""

    def __init__(self, inline: Node | None, main: str, reading: Reading) -> None:
        self._inline = inline
        self._main = main
        self._reading = reading
        self._files: dict[str, FoundRubric | None] = {}
        self.used: dict[str, FoundRubric] = {}
        self._named = set(inline.map if inline is not None else ())
        for name, node in inline.map.items() if inline is not None else ():
            document = Node({"criteria": node}, node.place) if node.is_list else node
            self._keep(build(document, name, ("rubrics", name), reading.diagnostics, listed=node.is_list))

    def names(self) -> list[str]:
        """Every rubric that can be named without a path."""
        return sorted({*self._named, *shipped_rubrics()})

    def node(self) -> Node | None:
        """All of them in long form; None where there are none."""
        place = self._inline.place if self._inline is not None else None
        return Node({name: found.document for name, found in self.used.items()}, place) if self.used else None

    def get(self, reference: Node, path: NodePath) -> FoundRubric | None:
        """The rubric that a name or a path means; None, with diagnostics, where nothing sound answers to it."""
        text: str = reference.content
        if text in self._named:
            return self.used.get(text)
        if text.endswith(YAML_SUFFIXES) or "/" in text:
            found = self._by_path(reference, path)
        elif text in shipped_rubrics():
            found = self._read(f"specs/rubrics/{text}.yaml", shipped_rubrics()[text])
        else:
            self._reading.diagnostics.unknown(reference, path, f"unknown rubric '{text}'", self.names())
            return None
        if found is not None and self.used.setdefault(found.rubric.name, found).document is not found.document:
            message = f"two different rubrics are called '{found.rubric.name}'"
            self._reading.diagnostics.error(reference.place, path, message, hint="rename one of them")
            return None
        return found

    def _keep(self, found: FoundRubric | None) -> None:
        if found is not None:
            self.used[found.rubric.name] = found

    def _by_path(self, reference: Node, path: NodePath) -> FoundRubric | None:
        text: str = reference.content
        file = self._reading.folder(reference.place, self._main) / Path(text).expanduser()
        if not file.is_file():
            hint = nearest_file(file)
            self._reading.diagnostics.error(reference.place, path, f"there is no rubric file '{text}'", hint=hint)
            return None
        place = reference.place
        shown = posixpath.normpath(posixpath.join(posixpath.dirname(place.file if place else self._main), text))
        return self._read(shown, file)

    def _read(self, shown: str, path: Path) -> FoundRubric | None:
        key = str(path.resolve())
        if key not in self._files:
            root = self._reading.document(shown, path)
            sound = root is not None and not validate(root, "rubric", self._reading.diagnostics)
            name = root.text("rubric") if root is not None and sound else None
            self._files[key] = build(root, name, (), self._reading.diagnostics) if root is not None and name else None
        return self._files[key]


def build(root: Node, name: str, at: NodePath, diagnostics: Diagnostics, *, listed: bool = False) -> FoundRubric | None:
    """The rubric of a document whose shape is right, or None with diagnostics. `listed`: it was written as its list of
    criteria alone."""
    own = root.get("rubric")
    if own is not None and own.content != name:
        message = f"the rubric is called '{name}' here and '{own.content}' inside"
        diagnostics.error(own.place, (*at, "rubric"), message, hint="remove this line")
        return None
    scorer = registry.load("scorers", "rubric")
    sound = True
    for index, node in enumerate(root.map["criteria"].items):
        path: NodePath = (*at, index) if listed else (*at, "criteria", index)
        try:
            scorer.criterion(node.plain(), "the criterion")
        except SpecError as error:
            diagnostics.error(node.place, path, error.message, hint=error.hint)
            sound = False
    plain = {key: value for key, value in root.plain().items() if key not in ("evalkit", "rubric", "meta")}
    try:
        made = scorer.rubric(plain, f"rubric '{name}'") if sound else None
    except SpecError as error:
        diagnostics.error(root.place, at, error.message, hint=error.hint, at_key=True)
        return None
    if made is None:
        return None
    if made.shallow:
        diagnostics.warn("W013", (own or root).place, at, _SHALLOW.format(name), at_key=own is None)
    return FoundRubric(_rubric(name, plain, oracle=made.oracle), root)


def _rubric(name: str, plain: dict[str, Json], *, oracle: bool) -> Rubric:
    given = {key: value for key, value in plain.items() if key != "criteria"}
    return Rubric(name=name, criteria=tuple(plain["criteria"]), oracle=oracle, **given)
