"""Warnings about a task that is broken down by what a model got right: such groups hold the score that they explain.

Difficulty that was read off a run is the usual case. The model that made the run is best on "easy" and worst on "hard"
by construction, and every other model comes closer to the mean in both, whatever it can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from evalkit.spec import engines
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, walk
from evalkit.spec.nodes import Path as NodePath

_RUNS = "runs"
_OF_A_RUN = frozenset({"results.json", "samples.jsonl", "samples.parquet"})
_DIFFICULTY = "difficult"


class _File(NamedTuple):
    """A file that gives rows or further fields, at its place in a document."""

    node: Node
    path: NodePath
    joined: bool


def lint_task(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    """Warn where fields of a task's rows come out of a run folder."""
    for file in _files(root, at):
        place = PurePath(file.node.content)
        if _RUNS in place.parts[:-1] or place.name in _OF_A_RUN:
            what = f"'{file.node.content}' is taken from results of a run"
            message = f"{what}: a difficulty that is made of a model's results says nothing about that model"
            diagnostics.warn("W011", file.node.place, file.path, message)


def lint_recorded(
    models: Mapping[str, Node],
    tasks: Iterable[tuple[Node, Path | None]],
    folder: Path,
    diagnostics: Diagnostics,
) -> None:
    """Warn where the difficulty of a task in use lies beside recorded answers, which it may have been made of.

    `tasks` are the documents with the folders of their files, `folder` is the spec's own.
    """
    recorded = {place: name for name, model in models.items() for place in _recorded(model, folder)}
    for root, own in tasks:
        for file in _files(root, ()):
            found = recorded.get((own / file.node.content).resolve().parent) if own is not None else None
            if found is not None and _named(root) and (file.joined or _names_difficulty(root)):
                message = f"'{file.node.content}' lies beside the recorded answers of '{found}': was it made of them?"
                diagnostics.warn("W011", file.node.place, file.path, message)


def _files(root: Node, at: NodePath) -> Iterator[_File]:
    """The files by whose fields a task is broken down, or a subset of it drawn."""
    join = root.get("join")
    if join is not None:
        yield _File(join.map["file"], (*at, "join", "file"), True)
    if _named(root):
        for path, node in walk(root.map["data"], (*at, "data")):
            if "file" in node.map:
                yield _File(node.map["file"], (*path, "file"), False)


def _named(root: Node) -> list[str]:
    """The fields that a task's tables are broken down by, or a subset of it is spread over."""
    groups, strata = root.get("groups"), root.get("strata")
    named = [*(groups.items if groups is not None else ()), *([strata] if strata is not None else ())]
    return [str(name.content) for name in named]


def _names_difficulty(root: Node) -> bool:
    return any(_DIFFICULTY in name.lower() for name in _named(root))


def _recorded(model: Node, folder: Path) -> Iterator[Path]:
    """The folders of a model's recorded answers."""
    file = model.get("file")
    kind = engines.kind_of(model)
    if kind is None or kind.content != "replay" or file is None:
        return
    for one in file.items or [file]:
        yield (folder / str(one.content)).resolve().parent
