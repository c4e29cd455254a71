"""Which requests are generated together: pure numbers, no tensors.

Requests that differ only in their sample index form a *group*: their prompt is computed once. Groups with the same
sampling parameters may share a batch. Within one, long prompts go first, so that whatever joins a running batch
fits to the left of where the batch already is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct, structs

from evalkit.core.types import Prompt, Request, SamplingParams


class Budget(Struct, frozen=True):
    """What a batch may take: `rows` answers at a time, `tokens` columns times rows of key-value memory, and
    `prefill` tokens of prompts (padding included) computed in one pass."""

    rows: int
    tokens: int
    prefill: int

    def halved(self, rows: int) -> Budget:
        """The budget after `rows` rows were too much for the memory."""
        tokens, prefill = max(1, self.tokens // 2), max(1, self.prefill // 2)
        return Budget(rows=max(1, min(self.rows, rows) // 2), tokens=tokens, prefill=prefill)


class Group(Struct, frozen=True):
    """Requests for several answers to one rendered prompt, `tokens` long."""

    prompt: str
    ids: tuple[int, ...]
    sampling: SamplingParams
    requests: tuple[Request, ...]

    @property
    def rows(self) -> int:
        return len(self.requests)

    @property
    def tokens(self) -> int:
        return len(self.ids)


class Live(Struct, frozen=True):
    """The batch as it runs: rows in use, columns filled, and the most tokens that one of its rows may still get."""

    rows: int = 0
    columns: int = 0
    remaining: int = 0


class Question(Struct, frozen=True):
    """Requests alike in all but their sample index."""

    prompt: Prompt
    sampling: SamplingParams
    requests: tuple[Request, ...]


def questions(requests: Sequence[Request]) -> list[Question]:
    """Every request in exactly one question, in the order of first appearance."""
    found: dict[tuple[Prompt, SamplingParams], list[Request]] = {}
    for request in requests:
        found.setdefault((request.prompt, request.sampling), []).append(request)
    return [Question(prompt, sampling, tuple(same)) for (prompt, sampling), same in found.items()]


@dataclass
class Queue:
    """Groups that wait, longest prompt first. All have the same sampling parameters."""

    groups: list[Group] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def put_back(self, groups: Iterable[Group]) -> None:
        """Add groups, e.g. the unfinished part of a batch that ran out of memory."""
        self.groups = sorted([*self.groups, *groups], key=lambda group: -group.tokens)

    def take(self, live: Live, budget: Budget) -> list[Group]:
        """The groups that may join the batch now, computed in one prefill; a group too large for it is split.

        An empty batch always gets something: one row of the longest prompt, however long it is.
        """
        taken: list[Group] = []
        for group in list(self.groups):
            room = self._room(group, live, budget, taken)
            if room <= 0:
                break
            self.groups.pop(0)
            if room < group.rows:
                rest = structs.replace(group, requests=group.requests[room:])
                group = structs.replace(group, requests=group.requests[:room])
                self.groups.insert(0, rest)
            taken.append(group)
            live = _joined(live, group)
            if self.groups and self.groups[0].prompt == group.prompt:
                break  # the rest of a split group; there is no more room
        return taken

    @staticmethod
    def _room(group: Group, live: Live, budget: Budget, taken: list[Group]) -> int:
        if live.rows == 0:
            return max(1, min(group.rows, _rows_that_fit(group, live, budget)))
        if group.tokens > live.columns:
            return 0
        if taken and (len(taken) + 1) * taken[0].tokens > budget.prefill:
            return 0
        return min(group.rows, _rows_that_fit(group, live, budget))


def _rows_that_fit(group: Group, live: Live, budget: Budget) -> int:
    joined = _joined(live, group)
    at_the_end = joined.columns + joined.remaining
    return min(budget.rows, budget.tokens // at_the_end) - live.rows


def _joined(live: Live, group: Group) -> Live:
    return Live(
        rows=live.rows + group.rows,
        columns=max(live.columns, group.tokens),
        remaining=max(live.remaining, group.sampling.max_tokens),
    )


def queues(groups: Iterable[Group]) -> list[Queue]:
    """Groups by sampling parameters, each queue in order."""
    found: dict[SamplingParams, list[Group]] = {}
    for group in groups:
        found.setdefault(group.sampling, []).append(group)
    ordered = [Queue() for _ in found]
    for queue, same in zip(ordered, found.values(), strict=True):
        queue.put_back(same)
    return ordered
