"""What a reader must be told of a step whether he asked for a diagnosis or not, found in the one pass over the rows.

Nothing is kept that grows with the run: the answers to an item come one after the other, and of a whole step's texts
only a sum of digests is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from evalkit.core.diagnosis import Raised
from evalkit.core.digest import digest
from evalkit.core.keys import decisive
from evalkit.core.runfolder import Lock
from evalkit.core.types import SampleRow

_NAMED = 10
_HALF = 0.5
_MANY_UNREAD = 0.05
_MODULUS = 1 << 128
_Item = tuple[str, str, str, str, str]


class _StepWatch(Struct):
    """One step: the item whose answers are coming, and what is known of those before."""

    item: _Item | None = None
    texts: set[str] = field(default_factory=set)
    answers: int = 0
    temperatures: set[float | None] = field(default_factory=set)
    several: int = 0
    same: int = 0
    most: int = 0
    drawn: set[float | None] = field(default_factory=set)
    named: list[str] = field(default_factory=list)
    sum: int = 0
    count: int = 0
    unknown: bool = False
    questions: int = 0
    unread: int = 0
    judges: dict[str, None] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    unjudged_items: int = 0
    unjudged_last: _Item | None = None

    def add(self, row: SampleRow) -> None:
        self._add_judged(row)
        item = (row.category, row.task, row.split, row.id, row.model)
        if item != self.item:
            self._close(row.step)
            self.item = item
        if row.text is None or row.text_sha256 is None:
            self.unknown = True
            return
        self.texts.add(row.text_sha256)
        self.answers += 1
        self.temperatures.add(row.effective.temperature if row.effective is not None else None)
        if row.selected and not row.likelihoods:
            key = digest([row.task, row.split, row.id, row.text_sha256])
            self.sum = (self.sum + int(key[:32], 16)) % _MODULUS
            self.count += 1

    def _add_judged(self, row: SampleRow) -> None:
        if row.judged is None:
            return
        self.questions += row.judged.questions
        self.unread += row.judged.unread
        self.judges[row.judged.judge] = None
        item = (row.category, row.task, row.split, row.id, row.model)
        if row.judged.unread and item != self.unjudged_last:
            self.unjudged_last = item
            self.unjudged_items += 1
            if len(self.unjudged) < _NAMED:
                self.unjudged.append(f"{row.step}/{row.id}")

    def _close(self, step: str) -> None:
        """The answers to an item are all there."""
        if self.item is not None and self.answers > 1 and 0.0 not in self.temperatures:
            self.several += 1
            if len(self.texts) == 1:
                self.same += 1
                self.most = max(self.most, self.answers)
                self.drawn |= self.temperatures
                if len(self.named) < _NAMED:
                    self.named.append(f"{step}/{self.item[3]}")
        self.item, self.answers = None, 0
        self.texts, self.temperatures = set(), set()

    def raised(self, step: str) -> Iterator[Raised]:
        self._close(step)
        if self.unread and self.unread >= _MANY_UNREAD * self.questions:
            values = {"judges": ", ".join(self.judges), "unread": self.unread, "questions": self.questions}
            yield Raised("judge_unread", values, tuple(self.unjudged), self.unjudged_items)
        if self.several and self.same >= max(2, _HALF * self.several):
            known = [temperature for temperature in self.drawn if temperature is not None]
            values = {
                "identical": self.same,
                "items": self.several,
                "answers": self.most,
                "temperature": max(known, default=None),
            }
            yield Raised("identical_candidates", values, tuple(self.named), self.same)


class Watch:
    """Watches all steps of a run."""

    def __init__(self, lock: Lock) -> None:
        self._steps: dict[str, _StepWatch] = {}
        self._asked = {step: _asked(lock, step) for step in {task.step for task in lock.tasks}}
        self._routed = {task.step for task in lock.tasks if task.route}

    def add(self, row: SampleRow) -> None:
        self._steps.setdefault(row.step, _StepWatch()).add(row)

    def raised(self) -> dict[str, list[Raised]]:
        """What was found, by step."""
        found = {name: list(step.raised(name)) for name, step in self._steps.items()}
        for name, other in self._equal():
            found[name].append(Raised("identical_arms", {"other": other, "answers": self._steps[name].count}))
        return found

    def _equal(self) -> Iterator[tuple[str, str]]:
        """Steps that were to ask otherwise and whose answers that count are those of an earlier step, text by text. A
        route shares the answers of its models: there it is no surprise."""
        before: dict[tuple[int, int], str] = {}
        for name, step in self._steps.items():
            if step.unknown or not step.count or name in self._routed:
                continue
            first = before.setdefault((step.count, step.sum), name)
            if first != name and self._asked.get(first) != self._asked.get(name):
                yield name, first


def _asked(lock: Lock, step: str) -> set[str]:
    """Whom a step asks, and how: what is the same in two steps that ask the same twice."""
    return {
        digest(
            [
                task.model,
                decisive(task.sampling) if task.sampling is not None else None,
                task.samples,
                task.select,
                task.formats,
            ]
        )
        for task in lock.tasks
        if task.step == step
    }
