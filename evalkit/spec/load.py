"""File → Spec: read, extend, override, fill in, validate, expand, check, type. Every mistake of a file at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core import digest
from evalkit.core.errors import SpecError
from evalkit.core.types import Json
from evalkit.spec import (
    availability,
    catalog,
    circular,
    extends,
    interpolate,
    lint,
    overrides,
    references,
    rubric_library,
    task_document,
    typed,
)
from evalkit.spec.catalog import TaskLibrary
from evalkit.spec.diagnostics import Diagnostic, did_you_mean
from evalkit.spec.expand import expand
from evalkit.spec.model import Rubric, Spec, Task
from evalkit.spec.nodes import Node, Span, find, format_path, parse_path, walk
from evalkit.spec.nodes import Path as NodePath
from evalkit.spec.reading import Reading
from evalkit.spec.rubric_library import RubricLibrary
from evalkit.spec.schemas import Kind
from evalkit.spec.validate import prune, validate

_INDEPENDENT = ("unknown ", "there is no ", "the suite ", "the task ")
"""How messages begin that stay true when another part of the document is mended."""


class Loaded(Struct, frozen=True):
    """A spec that was read. `spec` is None when there is an error among the diagnostics.

    `long_form` is the spec with every default written out, itself a valid spec for the same folder; `task_documents`
    are the tasks in use by name. `digest` is over both and knows no absolute folder. `sources` holds every text that
    was read by its shown name, the spec first; `files` are those on disk.
    """

    spec: Spec | None
    long_form: dict[str, Json]
    task_documents: dict[str, Json]
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]
    files: tuple[Path, ...]
    digest: str
    tree: Node | None = None

    def why(self, path: str) -> str:
        """Where a value of the long form comes from: `specs/x.yaml:3:11`, `<--set #1>:1:8` or `default`.

        Raises SpecError for a path that is not in the long form.
        """
        parts = parse_path(path)
        node = find(self.tree, tuple(part.part for part in parts)) if self.tree is not None and parts else None
        if node is None:
            known = [format_path(known) for known, _ in walk(self.tree)] if self.tree is not None else []
            raise SpecError(f"the long form has no '{path}'", hint=did_you_mean(path, known))
        if node.place is None:
            return "default"
        return f"{node.place.file}:{node.place.value.line}:{node.place.value.column}"


class LoadedTask(Struct, frozen=True):
    """A task file that was read. `task` is None when there is an error among the diagnostics."""

    task: Task | None
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]
    files: tuple[Path, ...]


class LoadedRubric(Struct, frozen=True):
    """A rubric file that was read. `rubric` is None when there is an error among the diagnostics."""

    rubric: Rubric | None
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]
    files: tuple[Path, ...]


def load_spec(path: Path, sets: Sequence[str] = ()) -> Loaded:
    """Read a spec with `--set` overrides. Never raises for what is wrong in a file: that is in the diagnostics."""
    reading = Reading()
    found = catalog.find_document(path)
    root = reading.document(found.shown, found.path, found.hint)
    if root is not None and "task" in root.map:
        message = "this is a task file, not a spec"
        reading.diagnostics.error(root.map["task"].place, (), message, hint="name it in a spec's `suite:`", at_key=True)
        root = None
    return _Load(reading, found.shown).load(root, sets)


def load_task_file(path: Path) -> LoadedTask:
    """Read a task file on its own."""
    reading = Reading()
    found = catalog.find_document(path)
    root = reading.document(found.shown, found.path, found.hint)
    task = None
    if root is not None and not validate(root, "task", reading.diagnostics):
        name, folder = root.text("task") or "", found.path.absolute().parent
        whole = catalog.with_rubric(root, (), RubricLibrary(None, found.shown, reading))
        task = task_document.build(whole, name, folder, (), reading.diagnostics) if whole is not None else None
        if task is not None:
            lint.lint_task(root, (), reading.diagnostics)
    diagnostics = lint.silence(reading.diagnostics.all(), reading.sources)
    return LoadedTask(task, diagnostics, reading.sources, tuple(reading.paths.values()))


def load_rubric_file(path: Path) -> LoadedRubric:
    """Read a rubric file on its own."""
    reading = Reading()
    found = catalog.find_document(path)
    root = reading.document(found.shown, found.path, found.hint)
    rubric = None
    if root is not None and not validate(root, "rubric", reading.diagnostics):
        rubric = rubric_library.build(root, root.text("rubric") or "", (), reading.diagnostics)
    diagnostics = lint.silence(reading.diagnostics.all(), reading.sources)
    made = rubric.rubric if rubric is not None else None
    return LoadedRubric(made, diagnostics, reading.sources, tuple(reading.paths.values()))


def check(path: Path, sets: Sequence[str] = ()) -> Loaded | LoadedTask | LoadedRubric:
    """Read a spec, a task file or a rubric file: a task file has the key `task`, a rubric file the key `rubric`."""
    kind = _kind(path)
    if kind == "spec":
        return load_spec(path, sets)
    return load_task_file(path) if kind == "task" else load_rubric_file(path)


def is_task_file(path: Path) -> bool:
    """True for a file whose document has the key `task`."""
    return _kind(path) == "task"


def _kind(path: Path) -> Kind:
    found = catalog.find_document(path)
    root = Reading().read(found.shown, found.path)
    if root is None:
        return "spec"
    return "task" if "task" in root.map else "rubric" if "rubric" in root.map else "spec"


class _Load:
    """The steps from a root to a Loaded; what fails ends in what there is so far."""

    def __init__(self, reading: Reading, main: str) -> None:
        self._reading = reading
        self._main = main
        self._written: Node | None = None
        self._long: Node | None = None
        self._tasks: TaskLibrary | None = None

    def load(self, root: Node | None, sets: Sequence[str]) -> Loaded:
        if root is not None:
            root = extends.resolve(root, self._main, self._reading)
        spec = self._complete(overrides.apply(root, sets, self._reading)) if root is not None else None
        return self._loaded(spec)

    def _complete(self, root: Node) -> Spec | None:
        diagnostics = self._reading.diagnostics
        self._written = root
        filled = interpolate.interpolate(root, diagnostics)
        root = filled.root
        wrong = filled.failed + validate(root, "spec", diagnostics, filled.failed)
        if wrong:
            self._check_the_rest(root, wrong)
            return None
        self._tasks = TaskLibrary(root, self._main, self._reading)
        self._long = expand(root, self._main, self._tasks, self._reading)
        references.check(self._long, self._tasks, diagnostics)
        if not diagnostics.failed:  # a name that was misspelt leaves another one unused
            lint.unused(root, self._long, filled.used, self._main, diagnostics)
        availability.check(root, diagnostics)
        lint.lint(root, self._long, diagnostics)
        lint.reference_times(self._long, self._scorer_options(), diagnostics)
        self._lint_tasks(self._long, self._tasks)
        return None if diagnostics.failed else self._typed(self._long, self._tasks)

    def _lint_tasks(self, long: Node, tasks: TaskLibrary) -> None:
        """Warn about groups of the tasks in use that come from results: of a run, or of a model of this spec."""
        diagnostics, used = self._reading.diagnostics, tasks.used.values()
        for found in used:
            circular.lint_task(found.document, ("tasks", found.task.name), diagnostics)
        documents = [(found.document, found.task.folder) for found in used]
        folder = self._reading.paths[self._main].absolute().parent
        circular.lint_recorded(long.map["models"].map, documents, folder, diagnostics)

    def _scorer_options(self) -> list[dict[str, Json]]:
        return [found.task.scorer_options for found in self._tasks.used.values()] if self._tasks else []

    def _check_the_rest(self, root: Node, wrong: list[NodePath]) -> None:
        """Of a document whose shape is not right: names that mean nothing and what is not there yet in the sound part.

        Whatever may follow from what is wrong is left out, so that one mistake stays one diagnostic.
        """
        rest = prune(root, wrong)
        aside = self._reading.aside()
        if validate(rest, "spec", aside.diagnostics):
            return
        tasks = TaskLibrary(rest, self._main, aside)
        references.check(expand(rest, self._main, tasks, aside), tasks, aside.diagnostics)
        availability.check(rest, aside.diagnostics)
        missing = {f"'{key}'" for path in wrong for key in _keys_below(root, path)}
        places = [format_path(path) for path in wrong]
        for found in aside.diagnostics.all():
            follows = any(_touches(found.path or "", place) for place in places)
            telling = found.message.startswith(_INDEPENDENT) or "not yet available" in found.message
            if telling and not follows and not any(name in found.message for name in missing):
                self._reading.diagnostics.add(found)

    def _typed(self, long: Node, tasks: TaskLibrary) -> Spec:
        folder = self._reading.paths[self._main].parent

        def resolve(text: str) -> Path:
            return (folder / Path(text).expanduser()).resolve()

        used = {name: found.task for name, found in tasks.used.items()}
        rubrics = {name: found.rubric for name, found in tasks.rubrics.used.items()}
        return typed.spec(long.plain(), used, tasks.called, rubrics, resolve, self._main)

    def _as_written(self, diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        """Paths of the long form, where they differ, as the paths of the document that people wrote."""
        if self._written is None:
            return diagnostics
        nodes = [(format_path(path), node.place) for path, node in walk(self._written) if path and node.place]
        known = {"", *(path for path, _ in nodes)}
        by_place = {(place.file, place.value): path for path, place in nodes}
        by_place |= {(place.file, place.name): path for path, place in nodes}
        return tuple(
            found if found.path in known else replace(found, path=by_place.get(_where(found), found.path))
            for found in diagnostics
        )

    def _loaded(self, spec: Spec | None) -> Loaded:
        reading = self._reading
        long = interpolate.escape(self._long.plain()) if self._long is not None else {}
        used = self._tasks.used if self._tasks is not None else {}
        documents = {name: found.document.plain() for name, found in used.items()}
        return Loaded(
            spec=spec,
            long_form=long,
            task_documents=documents,
            diagnostics=lint.silence(self._as_written(reading.diagnostics.all()), reading.sources),
            sources=reading.sources,
            files=tuple(reading.paths.values()),
            digest=digest.digest({"spec": long, "tasks": documents}) if spec is not None else "",
            tree=self._long,
        )


def _where(found: Diagnostic) -> tuple[str, Span]:
    return found.file, Span(found.line, found.column, found.length)


def _keys_below(root: Node, path: NodePath) -> set[str]:
    """The key at a path and every key under it: names that are not to be missed."""
    node = find(root, path)
    below = [part for inner, _ in walk(node) for part in inner[-1:]] if node is not None else []
    return {str(part) for part in (*path[-1:], *below)}


def _touches(one: str, other: str) -> bool:
    """True when one of two paths leads to the other."""
    shorter, longer = sorted((one, other), key=len)
    return not shorter or (longer.startswith(shorter) and longer[len(shorter) : len(shorter) + 1] in ("", ".", "["))
