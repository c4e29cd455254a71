"""Finding documents: specs on disk or shipped, tasks inline, shipped or by their path."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path, PurePosixPath

from msgspec import Struct

from evalkit import assets
from evalkit.spec import task_document
from evalkit.spec.model import Task
from evalkit.spec.nodes import Node
from evalkit.spec.nodes import Path as NodePath
from evalkit.spec.reading import YAML_SUFFIXES, Reading, nearest_file
from evalkit.spec.rubric_library import RubricLibrary
from evalkit.spec.validate import validate


class Found(Struct, frozen=True):
    """A document's file, the name it is shown under, and what to say when it is not there."""

    shown: str
    path: Path
    hint: str = ""


def find_document(path: Path) -> Found:
    """The file at `path`; where nothing is, the shipped document of that name (`specs/quickstart.yaml`)."""
    if path.exists() or path.is_absolute():
        return Found(path.as_posix(), path)
    parts = PurePosixPath(path.as_posix()).parts
    if parts[:1] == ("specs",):
        shipped = assets.folder("specs").joinpath(*parts[1:])
        if ".." not in parts and shipped.is_file():
            return Found(path.as_posix(), shipped)
    return Found(path.as_posix(), path, _nearby(path))


def _nearby(path: Path) -> str:
    shipped = assets.folder("specs")
    known = [f"specs/{entry.name}" for entry in sorted(shipped.glob("*.yaml"))] if shipped.is_dir() else []
    if path.parent.is_dir():
        known += [
            (path.parent / entry.name).as_posix() for entry in path.parent.iterdir() if entry.suffix in YAML_SUFFIXES
        ]
    near = get_close_matches(path.as_posix(), known, 1)
    return f"did you mean '{near[0]}'?" if near else ""


@cache
def shipped_tasks() -> dict[str, Path]:
    """The tasks that come with evalkit, by name."""
    folder = assets.folder("specs") / "tasks"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))} if folder.is_dir() else {}


class FoundTask(Struct, frozen=True):
    """A task in use: what it means, and its document without places."""

    task: Task
    document: Node


class TaskLibrary:
    """The tasks that one spec can name; each file is read and checked once.

    `used` are the tasks in use by name, `called` maps each reference of the long form to such a name.
    `rubrics` are those that the spec and its tasks can name.
    """

    def __init__(self, root: Node, main: str, reading: Reading) -> None:
        inline = root.get("tasks")
        self._inline = inline.map if inline is not None else {}
        self.rubrics = RubricLibrary(root.get("rubrics"), main, reading)
        self._main = main
        self._reading = reading
        self._found: dict[str, FoundTask | None] = {}
        self.used: dict[str, FoundTask] = {}
        self.called: dict[str, str] = {}

    def names(self) -> list[str]:
        """Every task that can be named without a path."""
        return sorted({*self._inline, *shipped_tasks()})

    def get(self, reference: Node, path: NodePath) -> Task | None:
        """The task that a name or a path means; None, with diagnostics, where nothing (sound) answers to it."""
        text: str = reference.content
        if text in self._inline:
            found = self._once(text, partial(self._read_inline, text))
        elif _is_path(text):
            found = self._by_path(reference, path)
        elif text in shipped_tasks():
            found = self._once(text, partial(self._read_file, f"specs/tasks/{text}.yaml", shipped_tasks()[text]))
        else:
            self._reading.diagnostics.unknown(reference, path, f"unknown task '{text}'", self.names())
            return None
        return self._use(found, reference, path)

    def check_unused(self) -> None:
        """Check the inline tasks that no suite uses: a mistake in them is a mistake all the same."""
        for name in self._inline:
            self._once(name, partial(self._read_inline, name))

    def _use(self, found: FoundTask | None, reference: Node, path: NodePath) -> Task | None:
        if found is None:
            return None
        other = self.used.setdefault(found.task.name, found)
        if other.document is not found.document:
            message = f"two different tasks are called '{found.task.name}'"
            self._reading.diagnostics.error(reference.place, path, message, hint="rename one of them")
            return None
        return found.task

    def _once(self, key: str, read: Callable[[], FoundTask | None]) -> FoundTask | None:
        if key not in self._found:
            self._found[key] = read()
        return self._found[key]

    def _read_inline(self, name: str) -> FoundTask | None:
        node = self._inline[name]
        own = node.get("task")
        if own is not None and own.content != name:
            message = f"the task is called '{name}' here and '{own.content}' inside"
            self._reading.diagnostics.error(own.place, ("tasks", name, "task"), message, hint="remove this line")
            return None
        folder = self._reading.folder(node.place, self._main)
        whole = with_rubric(node, ("tasks", name), self.rubrics)
        if whole is None:
            return None
        task = task_document.build(whole, name, folder, ("tasks", name), self._reading.diagnostics)
        return FoundTask(task, whole) if task is not None else None

    def _by_path(self, reference: Node, path: NodePath) -> FoundTask | None:
        text: str = reference.content
        file = self._reading.folder(reference.place, self._main) / Path(text).expanduser()
        if not file.is_file():
            hint = nearest_file(file)
            self._reading.diagnostics.error(reference.place, path, f"there is no task file '{text}'", hint=hint)
            return None
        place = reference.place
        shown = posixpath.normpath(posixpath.join(posixpath.dirname(place.file if place else self._main), text))
        return self._once(str(file.resolve()), partial(self._read_file, shown, file))

    def _read_file(self, shown: str, path: Path) -> FoundTask | None:
        root = self._reading.document(shown, path)
        if root is None or validate(root, "task", self._reading.diagnostics):
            return None
        name = root.text("task") or path.stem
        whole = with_rubric(root, (), self.rubrics)
        if whole is None:
            return None
        task = task_document.build(whole, name, path.absolute().parent, (), self._reading.diagnostics)
        return FoundTask(task, whole) if task is not None else None


def with_rubric(task: Node, at: NodePath, rubrics: RubricLibrary) -> Node | None:
    """A task document with the rubric that its `score:` names put into its place: scorers read no files.

    None, with diagnostics, where no sound rubric answers to the name.
    """
    score = task.map["score"]
    reference = score.get("rubric")
    if reference is None or not isinstance(reference.content, str):
        return task
    found = rubrics.get(reference, (*at, "score", "rubric"))
    if found is None:
        return None
    return Node({**task.map, "score": Node({"rubric": found.options}, score.place)}, task.place)


def _is_path(text: str) -> bool:
    return text.endswith(YAML_SUFFIXES) or "/" in text
