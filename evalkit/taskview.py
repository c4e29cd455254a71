"""What a user wants to know of a task: which there are, where the data is, what a model would get. Nothing prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from evalkit.core import registry
from evalkit.core.errors import EvalkitError, PrerequisiteError, SpecError
from evalkit.core.ports import Notify, Rendered
from evalkit.core.types import Json, Model, Prompt, Sample
from evalkit.project import InvalidSpec, Project

if TYPE_CHECKING:
    from evalkit.spec.model import Task

_YAML = (".yaml", ".yml")


def find(name: str) -> Task:
    """The task of a name that ships, or of a task file. Raises InvalidSpec for a wrong file, SpecError for none."""
    from evalkit.spec.catalog import shipped_tasks
    from evalkit.spec.diagnostics import did_you_mean, render
    from evalkit.spec.load import load_task_file

    shipped = shipped_tasks()
    is_file = name.endswith(_YAML) or "/" in name
    if not is_file and name not in shipped:
        hint = did_you_mean(name, shipped) or f"tasks: {', '.join(shipped)}; or the path of a task file"
        raise SpecError(f"no task is called '{name}'", hint=hint)
    loaded = load_task_file(Path(name) if is_file else shipped[name])
    if loaded.task is None:
        raise InvalidSpec(render(loaded.diagnostics, loaded.sources))
    return loaded.task if loaded.task.name else msgspec.structs.replace(loaded.task, name=Path(name).stem)


def listing(project: Project) -> list[dict[str, Json]]:
    """The tasks that ship, each with its splits: rows, and where they would come from. Asks no network."""
    from evalkit.spec.catalog import shipped_tasks
    from evalkit.tasks.standing import standing

    found = [find(name) for name in shipped_tasks()]
    return [
        {
            "task": task.name,
            "category": task.category,
            "scorer": task.scorer,
            "license": task.license,
            "about": task.about,
            "splits": [msgspec.to_builtins(standing(task, split, project.folders)) for split in task.splits],
        }
        for task in found
    ]


class Fetched(Struct, frozen=True):
    """One split after fetching. `problem` says why it is not to be had and `hint` what to do; empty when it is."""

    task: str
    split: str
    rows: int | None = None
    sha256: str = ""
    origin: str = ""
    paths: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""


def fetch(project: Project, names: Sequence[str], notify: Notify) -> list[Fetched]:
    """Bring every split of the named tasks onto this machine, each from the first of its sources that can be had.

    What cannot be had has a problem. Raises DataError for data that is there and wrong: file, line and field.
    """
    tasks = [find(name) for name in names]
    return [_fetched(project, task, split, notify) for task in tasks for split in task.splits]


def _fetched(project: Project, task: Task, split: str, notify: Notify) -> Fetched:
    from evalkit.tasks.datasets import read_rows
    from evalkit.tasks.items import items

    try:
        rows = read_rows(task, split, project.folders, notify)
    except PrerequisiteError as error:
        return Fetched(task.name, split, problem=error.message, hint=error.hint)
    items(task, rows)
    declared = task.size.get(split)
    if declared is not None and declared != len(rows.rows):
        notify(f"{task.name}, split {split}: {len(rows.rows)} rows, its file says {declared}")
    return Fetched(task.name, split, len(rows.rows), rows.sha256, rows.origin, rows.paths)


class Question(Struct, frozen=True):
    """Which item of a task to show, and for which model. `item` is an id, or a number counted from 1."""

    task: str
    item: str = "1"
    split: str | None = None
    model: str | None = None
    shots: int | None = None


class Shown(Struct, frozen=True, kw_only=True):
    """What a model would get for one item. `rendered` is None where no model is named.

    `max_tokens` and `stop` are the task's, where a policy says nothing else. `continuations` are weighed, not written.
    `formats` are the schemas that the task has for the answer to each turn, None for none.
    """

    task: str
    split: str
    id: str
    number: int
    of: int
    prompt: Prompt
    followups: tuple[str, ...]
    shots: tuple[str, ...]
    continuations: tuple[str, ...]
    max_tokens: int
    stop: tuple[str, ...]
    model: str | None
    rendered: Rendered | None
    formats: tuple[Json, ...] = ()


def shown(project: Project, question: Question, notify: Notify, seed: int = 0) -> Shown:
    """The prompt of one item, exactly as a run would ask it. Raises SpecError for an item or split that is none."""
    from evalkit.spec.model import Policy, TaskUse, sampling
    from evalkit.tasks.datasets import read_rows
    from evalkit.tasks.samples import samples
    from evalkit.tasks.shots import shots_of

    task = find(question.task)
    use = TaskUse(task.name, task.name, _split(task, question.split), shots=question.shots)
    rows = read_rows(task, use.split, project.folders, notify)
    shots = shots_of(task, use)
    examples = read_rows(task, shots.split, project.folders, notify) if shots is not None else None
    drawn = samples(task, use, rows, seed, notify, examples)
    place = _place(drawn, question.item)
    sample, asked = drawn[place], sampling(Policy(""), task)
    return Shown(
        task=task.name,
        split=use.split,
        id=sample.id,
        number=place + 1,
        of=len(drawn),
        prompt=sample.prompt,
        followups=sample.followups,
        shots=sample.shots,
        continuations=_continuations(task, sample),
        max_tokens=asked.max_tokens,
        stop=asked.stop,
        model=question.model,
        rendered=_rendered(question.model, sample.prompt) if question.model is not None else None,
        formats=tuple(None if schema is None else msgspec.json.decode(schema) for schema in task.formats),
    )


def _split(task: Task, wanted: str | None) -> str:
    if wanted is not None:
        return wanted
    return "test" if "test" in task.splits else task.splits[0]


def _place(drawn: Sequence[Sample], item: str) -> int:
    """The place of an item by its id, else by its number."""
    by_id = [place for place, sample in enumerate(drawn) if sample.id == item]
    if by_id:
        return by_id[0]
    if item.isdecimal() and 1 <= int(item) <= len(drawn):
        return int(item) - 1
    raise SpecError(f"no item is called '{item}'", hint=f"a number from 1 to {len(drawn)}, or an id: '{drawn[0].id}'")


def _continuations(task: Task, sample: Sample) -> tuple[str, ...]:
    try:
        scorer = registry.load("scorers", task.scorer)(task.scorer_options)
    except PrerequisiteError:  # what the scorer needs is not installed, and the prompt can be shown all the same
        return ()
    found: tuple[str, ...] = scorer.continuations(sample)
    return found


def _rendered(name: str, prompt: Prompt) -> Rendered:
    model = _model(name)
    found: Rendered | None = registry.load("engines", model.engine).rendered(model, prompt)
    if found is None:
        raise PrerequisiteError(
            f"the tokenizer of model '{name}' is not on this machine yet", hint="a first run with it brings it"
        )
    return found


def _model(name: str) -> Model:
    """A model as the short form of a spec names it: a folder, a hub id, or the embedded one."""
    from evalkit.spec.expand import model_source

    return Model(name, "transformers", model_source(name))


def missing(found: Sequence[Fetched]) -> EvalkitError | None:
    """The error to end with when something is not to be had."""
    absent = [f"{one.task} ({one.split})" for one in found if one.problem]
    if not absent:
        return None
    return PrerequisiteError(f"not to be had: {', '.join(absent)}", hint="mend what is said above and run it again")
