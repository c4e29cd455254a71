"""What the store knows of the answers to each item of a bench, and which of them count. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.judging import Judged
from evalkit.core.ports import Store
from evalkit.core.selection import Candidate
from evalkit.core.types import Choice, Completion, Execution, Sample, Score, Void
from evalkit.steps.asking import Heard, hear
from evalkit.steps.bench import Arm, Bench, Cell, Trial, cells, chunks, trial_of
from evalkit.steps.choosing import pick
from evalkit.steps.turns import reached

_CHUNK = 256


class Mark(Struct, frozen=True):
    """Whether the verdict of an answer counts, and what the selector and its judge, or the route, made of it.

    `void`: it would count, and what was to pick it is missing.
    """

    selected: bool = True
    choice: Choice | None = None
    judged: Judged | None = None
    void: str | None = None


class Tried(Struct, frozen=True):
    """What is known of the execution of one completion."""

    trial: Trial | None = None
    execution: Execution | None = None
    reference: Execution | None = None


class Known(Struct, frozen=True):
    """What is known of one completion wanted."""

    cell: Cell
    completion: Completion | None
    tried: Tried
    score: Score

    @property
    def settled(self) -> bool:
        """Whether nothing is to come that could change the answer or its verdict."""
        return self.completion is not None and (self.tried.trial is None or self.tried.execution is not None)


Item = list[Known]
"""The answers to one item, in their order."""


def items(bench: Bench, arm: Arm, store: Store, identity: str) -> Iterator[list[Item]]:
    """The items of an arm in plan order, some at a time."""
    answers = arm.policy.answers  # those of an item stay together
    for some in chunks(cells(bench, arm), max(1, _CHUNK // answers) * answers):
        known = _known(bench, arm, some, store, identity)
        yield [list(group) for _, group in groupby(known, lambda one: one.cell.sample.id)]


def picked(bench: Bench, arm: Arm, some: Sequence[Item], store: Store) -> list[list[Mark]]:
    """One mark for each answer to each item. What never came is no candidate; where nothing came, the item's void
    stands in the first one's place."""
    if arm.selector is None:
        return [[Mark()] * len(item) for item in some]
    offered = [{place: candidate(one) for place, one in enumerate(item) if one.completion is not None} for item in some]
    pairs = zip(some, offered, strict=True)
    put = [(item[0].cell.sample, one) for item, candidates in pairs for one in candidates.values()]
    heard = iter(hear(bench, arm, put, store))  # for all of them at once: a look into the store costs its time
    found = []
    for item, candidates in zip(some, offered, strict=True):
        said = [next(heard) for _ in candidates]
        marks = dict(zip(candidates, _chosen(arm, item[0].cell.sample, list(candidates.values()), said), strict=True))
        found.append([marks.get(place, Mark(not candidates and place == 0)) for place in range(len(item))])
    return found


def _chosen(arm: Arm, sample: Sample, offered: Sequence[Candidate], heard: Sequence[Heard | None]) -> list[Mark]:
    """The marks of an item's candidates. Where a judge's answer is missing nothing is picked: the item's void stands in
    the place of its first candidate."""
    assert arm.selector is not None
    judged = [one.judged if one is not None else None for one in heard]
    missing = next((one.void for one in heard if one is not None and one.void is not None), None)
    if missing is not None:
        return [
            Mark(place == 0, None, cost, f"judge: {missing}" if place == 0 else None)
            for place, cost in enumerate(judged)
        ]
    told = [one if said is None else replace(one, marks=said.marks) for one, said in zip(offered, heard, strict=True)]
    found = pick(arm.selector, arm.policy, sample, told)
    return [
        Mark(place == found.place, choice, cost)
        for place, (choice, cost) in enumerate(zip(found.choices, judged, strict=True))
    ]


def candidate(known: Known) -> Candidate:
    """An answer that came, as a selector sees it."""
    assert known.completion is not None
    cell, score = known.cell, known.score
    return Candidate(cell.request.index, known.completion, cell.earlier, score.answer, score)


def _known(bench: Bench, arm: Arm, some: Sequence[Cell], store: Store, identity: str) -> Iterator[Known]:
    some, completions = reached(bench, some, store)
    keys = [cell.request.key for cell in some]
    # one for each cell, not for each key: equal prompts of two items share their answer, and not their tests
    trials = [
        trial_of(arm, cell.sample, completions[key], identity) if key in completions else None
        for key, cell in zip(keys, some, strict=True)
    ]
    tried = _look_up([trial for trial in trials if trial is not None], store)
    voids = store.voids([*keys, *tried])
    for cell, trial in zip(some, trials, strict=True):
        completion = completions.get(cell.request.key)
        known = tried[trial.program.key] if trial is not None else Tried()
        yield Known(cell, completion, known, _score(arm, cell, completion, known, voids))


def _look_up(trials: Sequence[Trial], store: Store) -> dict[str, Tried]:
    """What the store has of each program and of its reference, by the program's key."""
    references = {trial.reference.program.key for trial in trials if trial.reference is not None}
    executions = store.executions([*(trial.program.key for trial in trials), *references])
    return {
        trial.program.key: Tried(
            trial,
            executions.get(trial.program.key),
            executions.get(trial.reference.program.key) if trial.reference is not None else None,
        )
        for trial in trials
    }


def _score(arm: Arm, cell: Cell, completion: Completion | None, tried: Tried, voids: dict[str, Void]) -> Score:
    if completion is None:
        return _void(voids.get(cell.request.key), "not generated yet")
    if tried.trial is not None and tried.execution is None:
        return _void(voids.get(tried.trial.program.key), "not executed yet")
    return arm.scorer.score(cell.sample, completion, tried.execution)


def _void(void: Void | None, otherwise: str) -> Score:
    return Score("void", None, reason=f"{void.by}: {void.reason}" if void else otherwise)
