"""Few-shot examples: solved rows of another split, the same before every item of a task.

Which rows they are follows from the spec's seed, the task and the rows' ids, never from where a row stands in its file
(but for `pick: first`). A smaller number of examples begins a larger one.
"""

from __future__ import annotations

from evalkit.core.errors import DataError
from evalkit.spec.model import Shots, Task, TaskUse
from evalkit.tasks.items import Item, field, items, text
from evalkit.tasks.prompts import normalised
from evalkit.tasks.rows import Rows
from evalkit.tasks.sampling import shuffled


class Examples:
    """The examples of one use of a task, to be asked for item by item."""

    def __init__(self, task: Task, shots: Shots, rows: Rows, seed: int) -> None:
        self._task = task
        self._shots = shots
        found = items(task, rows)
        order = list(found) if shots.pick == "first" else shuffled(found, seed=str(seed), task=task.name)
        self._candidates: dict[str, list[Item]] = {}
        for name in order:
            self._candidates.setdefault(self._kind(found[name]), []).append(found[name])
        self._texts: dict[str, str] = {}

    def of(self, item: Item) -> tuple[Item, ...]:
        """The examples that stand before an item, never one that asks the same. Raises DataError for too few."""
        kind = self._kind(item)
        own = normalised(self._task, item)
        found: list[Item] = []
        for candidate in self._candidates.get(kind, ()):
            if len(found) == self._shots.n:
                break
            if self._text(candidate) != own:
                found.append(candidate)
        if len(found) < self._shots.n:
            raise self._too_few(kind, len(found), item.where)
        return tuple(found)

    def _kind(self, item: Item) -> str:
        same = self._shots.same
        return "" if same is None else text(field(item.row, same, "shots.same", item.where))

    def _text(self, item: Item) -> str:
        if item.id not in self._texts:
            self._texts[item.id] = normalised(self._task, item)
        return self._texts[item.id]

    def _too_few(self, kind: str, count: int, where: str) -> DataError:
        shots = self._shots
        among = f" with {shots.same} '{kind}'" if shots.same is not None else ""
        wanted = "1 example" if shots.n == 1 else f"{shots.n} examples"
        return DataError(
            f"task {self._task.name} wants {wanted} of its split '{shots.split}', "
            f"and only {count}{among} ask something else than this row",
            hint=f"lower `shots` to {count}",
            where=where,
        )


def shots_of(task: Task, use: TaskUse) -> Shots | None:
    """How a use of a task picks examples; None for zero-shot.

    Raises DataError for a use that wants examples of a task that has none, or of the split that it asks.
    """
    shots = task.shots_of(use)
    if shots is None:
        if use.shots:
            raise DataError(f"task {task.name} does not say where examples come from", hint="add `shots:` to its file")
        return None
    if shots.split == use.split:
        message = f"the examples of task {task.name} come from its split '{shots.split}', the split that is asked"
        raise DataError(message, hint="ask another split, or set `shots: 0`")
    return shots
