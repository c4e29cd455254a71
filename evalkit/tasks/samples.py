"""Rows become samples: renamed fields, ids that never change, a seeded subset, prompts and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.errors import DataError
from evalkit.core.ports import Notify
from evalkit.core.templates import is_template, render
from evalkit.core.types import Json, Sample
from evalkit.spec.model import Task, TaskUse
from evalkit.tasks.prompts import prompt
from evalkit.tasks.rows import Row, Rows
from evalkit.tasks.sampling import draw

# Options of the scorers that ship with evalkit whose value is the name of a field. Templates are found by themselves.
_FIELD_OPTIONS = {
    "code": ("prompt", "tests", "setup", "entry_point", "atol"),
    "exact": ("field",),
    "number": ("field",),
    "regex": ("field",),
    "json_schema": ("field",),
    "math_verify": ("field",),
}


class Shape(Struct, frozen=True):
    """What a lock holds of a task's samples: their ids in data order, and sha256 over each prompt."""

    ids: tuple[str, ...]
    prompts: tuple[str, ...]


class _Item(Struct, frozen=True):
    row: Row
    where: str


def samples(task: Task, use: TaskUse, rows: Rows, seed: int, notify: Notify | None = None) -> list[Sample]:
    """The samples that `use` asks for, in data order, ready to be asked and scored.

    A sample's row holds the fields as they were read and, beside them, those that `fields` names anew. `notify` hears
    of a subset that is larger than the data. Raises DataError for a row without an id of its own, or without a field
    that the prompt, the groups, the strata or the scorer's options use.
    """
    items = _items(task, rows)
    chosen = _draw(task, use, items, seed, notify)
    return [_sample(task, use, name, items[name]) for name in chosen]


def shape(drawn: Sequence[Sample]) -> Shape:
    """The ids and prompt digests of samples."""
    return Shape(tuple(sample.id for sample in drawn), tuple(digest(sample.prompt) for sample in drawn))


def _items(task: Task, rows: Rows) -> dict[str, _Item]:
    items: dict[str, _Item] = {}
    for row, where in zip(rows.rows, rows.places, strict=True):
        named = {**row, **{ours: _field(row, theirs, "fields", where) for ours, theirs in task.fields.items()}}
        name = render(task.id, named, what=f"id of task {task.name}", where=where)
        if not name.strip():
            raise DataError(f"the id of this row of task {task.name} is empty", where=where)
        if name in items:
            raise DataError(
                f"the id '{name}' is there twice, first at {items[name].where}",
                hint="choose an `id` template that tells the rows apart",
                where=where,
            )
        items[name] = _Item(named, where)
    return items


def _draw(task: Task, use: TaskUse, items: Mapping[str, _Item], seed: int, notify: Notify | None) -> list[str]:
    if use.sample is None:
        return list(items)
    if use.sample.n > len(items) and notify is not None:
        notify(f"{use.category}: {use.sample.n} samples wanted, task {task.name} has {len(items)} in {use.split}: all")
    by = use.sample.by or task.strata
    strata = {
        name: "" if by is None else _text(_field(item.row, by, "strata", item.where)) for name, item in items.items()
    }
    return draw(strata, use.sample.n, seed=f"{seed}.{use.sample.seed}", task=task.name)


def _sample(task: Task, use: TaskUse, name: str, item: _Item) -> Sample:
    _check_scorer_fields(task, item)
    return Sample(
        task=task.name,
        id=name,
        category=use.category,
        split=use.split,
        groups={group: _text(_field(item.row, group, "groups", item.where)) for group in task.groups},
        prompt=prompt(task, item.row, item.where),
        row=item.row,
    )


def _check_scorer_fields(task: Task, item: _Item) -> None:
    """Before a single token is generated: whatever the scorer will read of the row must be there."""
    for option, value in task.scorer_options.items():
        if not isinstance(value, str):
            continue
        if is_template(value):
            what = f"score.{task.scorer}.{option} of task {task.name}"
            render(value, item.row, what=what, where=item.where, nulls=False)
        elif option in _FIELD_OPTIONS.get(task.scorer, ()):
            found = _field(item.row, value, f"score.{task.scorer}.{option}", item.where)
            if found is None and option == "field":
                message = f"the field '{value}', which `score.{task.scorer}.field` names, is null"
                raise DataError(message, hint="a gold answer is a value", where=item.where)


def _field(row: Row, name: str, used_by: str, where: str) -> Json:
    if name in row:
        return row[name]
    near = get_close_matches(name, map(str, row), 1)
    hint = f"did you mean '{near[0]}'?" if near else f"the row has: {', '.join(sorted(row))}"
    raise DataError(f"no field '{name}', which `{used_by}` names", hint=hint, where=where)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "none" if value is None else str(value)
