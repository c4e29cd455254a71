"""Items become samples: a seeded subset, prompts with their examples, groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.errors import DataError
from evalkit.core.ports import Notify, Scorer
from evalkit.core.templates import is_template, render
from evalkit.core.types import Sample
from evalkit.spec.model import Task, TaskUse
from evalkit.tasks.items import Item, field, items, text
from evalkit.tasks.prompts import followups, prompt
from evalkit.tasks.rows import Rows
from evalkit.tasks.sampling import draw
from evalkit.tasks.shots import Examples, shots_of

# Options of the scorers that ship with evalkit whose value is the name of a field. Templates are found by themselves.
_FIELD_OPTIONS = {
    "choice": ("options", "right", "wrong", "best"),
    "code": ("prompt", "tests", "setup", "entry_point", "atol"),
    "exact": ("field",),
    "number": ("field",),
    "regex": ("field",),
    "json_schema": ("field",),
    "math_verify": ("field",),
}

# Templates that a scorer renders with more than the row, and so checks itself.
_OWN_TEMPLATES = frozenset({("choice", "continuation")})


class Shape(Struct, frozen=True):
    """What a lock holds of a task's samples: their ids in data order, sha256 over each prompt, and the ids of all
    examples in the order in which they first appear."""

    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    shots: tuple[str, ...] = ()


def samples(
    task: Task, use: TaskUse, rows: Rows, seed: int, notify: Notify | None = None, examples: Rows | None = None
) -> list[Sample]:
    """The samples that `use` asks for, in data order, ready to be asked and scored.

    A sample's row holds the fields as they were read and, beside them, those that `fields` names anew. `notify` hears
    of a subset that is larger than the data. `examples` are the rows of the split that examples come from, needed
    where `shots_of` says so. Raises DataError for a row without an id of its own, or without a field that the prompt,
    the groups, the strata or the scorer's options use, and for too few examples.
    """
    found = items(task, rows)
    shots = shots_of(task, use)
    if shots is not None and examples is None:
        raise ValueError(f"the examples of task {task.name} were not read")
    before = Examples(task, shots, examples, seed) if shots is not None and examples is not None else None
    chosen = _draw(task, use, found, seed, notify)
    return [_sample(task, use, found[name], before) for name in chosen]


def shape(drawn: Sequence[Sample]) -> Shape:
    """The ids and prompt digests of samples, and the examples in the prompts."""
    return Shape(
        tuple(sample.id for sample in drawn),
        tuple(_prompt_digest(sample) for sample in drawn),
        tuple(dict.fromkeys(shot for sample in drawn for shot in sample.shots)),
    )


def _prompt_digest(sample: Sample) -> str:
    return digest([sample.prompt, sample.followups] if sample.followups else sample.prompt)


def _draw(task: Task, use: TaskUse, found: Mapping[str, Item], seed: int, notify: Notify | None) -> list[str]:
    if use.sample is None:
        return list(found)
    if use.sample.n > len(found) and notify is not None:
        notify(f"{use.category}: {use.sample.n} samples wanted, task {task.name} has {len(found)} in {use.split}: all")
    by = use.sample.by or task.strata
    strata = {
        name: "" if by is None else text(field(item.row, by, "strata", item.where)) for name, item in found.items()
    }
    return draw(strata, use.sample.n, seed=f"{seed}.{use.sample.seed}", task=task.name)


def _sample(task: Task, use: TaskUse, item: Item, examples: Examples | None) -> Sample:
    _check_scorer_fields(task, item)
    shown = examples.of(item) if examples is not None else ()
    return Sample(
        task=task.name,
        id=item.id,
        category=use.category,
        split=use.split,
        groups={group: _group(group, use, item) for group in task.groups},
        prompt=prompt(task, item, shown),
        row=item.row,
        followups=followups(task, item),
        shots=tuple(example.id for example in shown),
        where=item.where,
    )


def check(scorer: Scorer, drawn: Iterable[Sample]) -> None:
    """Raises DataError, with the place of its row, for the first sample that the scorer cannot score."""
    for sample in drawn:
        try:
            scorer.check(sample)
        except DataError as error:
            place = f"{sample.where}: {error.where}" if error.where else sample.where
            raise DataError(error.message, hint=error.hint, where=place) from error


def _group(name: str, use: TaskUse, item: Item) -> str:
    """The value of a field by which tables are broken down. `split` is the sample's own where the row has no such
    field."""
    if name == "split" and name not in item.row:
        return use.split
    value = field(item.row, name, "groups", item.where)
    if isinstance(value, (dict, list)):
        kind = "list" if isinstance(value, list) else "map"
        message = f"the field '{name}', which `groups` names, holds a {kind}"
        raise DataError(message, hint="a group is one value: a text, a number, true or false, null", where=item.where)
    return str(value).lower() if isinstance(value, bool) else text(value)


def _check_scorer_fields(task: Task, item: Item) -> None:
    """Before a single token is generated: whatever the scorer will read of the row must be there."""
    for option, value in task.scorer_options.items():
        if not isinstance(value, str) or (task.scorer, option) in _OWN_TEMPLATES:
            continue
        if is_template(value):
            what = f"score.{task.scorer}.{option} of task {task.name}"
            render(value, item.row, what=what, where=item.where, nulls=False)
        elif option in _FIELD_OPTIONS.get(task.scorer, ()):
            found = field(item.row, value, f"score.{task.scorer}.{option}", item.where)
            if found is None and option == "field":
                message = f"the field '{value}', which `score.{task.scorer}.field` names, is null"
                raise DataError(message, hint="a gold answer is a value", where=item.where)
