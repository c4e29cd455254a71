"""The engine of a model: a name, or a map of its `kind` and of the interpreter that it runs in.

engine: vllm
engine: {kind: vllm, python: ~/envs/vllm/bin/python}
"""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path, default

_IN_PROCESS = ("replay", "openai")
"""Engines without a process of their own: they load no model."""


def kind_of(model: Node) -> Node | None:
    """The node that names the engine, or None where the model leaves it out."""
    engine = model.get("engine")
    return engine.get("kind") if engine is not None and engine.is_map else engine


def long_engine(engine: Node, moved: Callable[[Node], Node]) -> Node:
    """A map without `python` is its name. `moved` makes a path relative to the main file's folder."""
    if not engine.is_map:
        return engine
    if "python" not in engine.map:
        return engine.map["kind"]
    return Node({"kind": engine.map["kind"], "python": moved(engine.map["python"])}, engine.place)


def check(model: Node, path: Path, diagnostics: Diagnostics) -> None:
    """`python` is for engines that load a model."""
    engine, kind = model.get("engine"), kind_of(model)
    if engine is not None and kind is not None and "python" in engine.map and kind.content in _IN_PROCESS:
        message = f"the engine `{kind.content}` runs in evalkit's own process"
        place = engine.map["python"].place
        diagnostics.error(place, (*path, "engine", "python"), message, hint="leave `python` out", at_key=True)


def default_engine(given: list[str]) -> Node:
    """The engine of a model that names none, by the keys that say where it comes from."""
    return default("replay" if given == ["file"] else "transformers")


def split(engine: Json) -> tuple[str, str | None]:
    """Name and interpreter of an engine in long form."""
    return (engine, None) if isinstance(engine, str) else (engine["kind"], engine["python"])
