"""Rows become items: renamed fields, and ids that never change."""

from __future__ import annotations

from difflib import get_close_matches

from msgspec import Struct

from evalkit.core.errors import DataError
from evalkit.core.templates import render
from evalkit.core.types import Json
from evalkit.spec.model import Task
from evalkit.tasks.rows import Row, Rows


class Item(Struct, frozen=True):
    """A row under its id, with the fields that the task names anew. `where` is its place for messages."""

    id: str
    row: Row
    where: str


def items(task: Task, rows: Rows) -> dict[str, Item]:
    """The items by id, in data order. An id may use `row_number`, the row's place in its split from 1, for data that
    holds the same row twice. Raises DataError for a row without an id of its own or a renamed field."""
    found: dict[str, Item] = {}
    for number, (row, where) in enumerate(zip(rows.rows, rows.places, strict=True), 1):
        named = {**row, **{ours: field(row, theirs, "fields", where) for ours, theirs in task.fields.items()}}
        known = {"row_number": number, **named}
        name = render(task.id, known, what=f"id of task {task.name}", where=where, nulls=False)
        if not name.strip():
            raise DataError(f"the id of this row of task {task.name} is empty", where=where)
        if name in found:
            raise DataError(
                f"the id '{name}' is there twice, first at {found[name].where}",
                hint="choose an `id` template that tells the rows apart",
                where=where,
            )
        found[name] = Item(name, named, where)
    return found


def field(row: Row, name: str, used_by: str, where: str) -> Json:
    """A field of a row. Raises DataError with the nearest field's name where there is none."""
    if name in row:
        return row[name]
    near = get_close_matches(name, map(str, row), 1)
    hint = f"did you mean '{near[0]}'?" if near else f"the row has: {', '.join(sorted(row))}"
    raise DataError(f"no field '{name}', which `{used_by}` names", hint=hint, where=where)


def text(value: Json) -> str:
    """A field's value as the name of a group or stratum."""
    return value if isinstance(value, str) else "none" if value is None else str(value)
