"""From the store to rows: what is known of each completion of a bench. Pure: nothing is asked, nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, repeat
from typing import TypeVar

from msgspec import Struct

from evalkit.core.digest import digest_text
from evalkit.core.ports import Selector, Store
from evalkit.core.selection import Candidate
from evalkit.core.types import Choice, Completion, Execution, Request, SampleRow, Score, Void, Weighed
from evalkit.steps.bench import Arm, Bench, Cell, Trial, cells, chunks, limits_of, trial_of
from evalkit.steps.choosing import pick
from evalkit.steps.turns import reached

_CHUNK = 256


def rows(bench: Bench, store: Store, identity: str) -> Iterator[SampleRow]:
    """What the store knows of a bench, one row a completion, in plan order. What is missing is void."""
    for arm in bench.arms:
        answers = arm.policy.answers  # the candidates of an item stay together
        for some in chunks(cells(bench, arm), max(1, _CHUNK // answers) * answers):
            known = list(_known(bench, arm, some, store, identity))
            picked = _picked(arm, arm.selector, known) if arm.selector is not None else repeat(_COUNTS)
            for one, (selected, choice) in zip(known, picked, strict=False):
                yield _row(bench, arm, one, selected, choice)


class _Tried(Struct, frozen=True):
    """What is known of the execution of one completion."""

    trial: Trial | None = None
    execution: Execution | None = None
    reference: Execution | None = None


class _Known(Struct, frozen=True):
    """What is known of one completion wanted."""

    cell: Cell
    completion: Completion | None
    tried: _Tried
    score: Score


def _known(bench: Bench, arm: Arm, some: Sequence[Cell], store: Store, identity: str) -> Iterator[_Known]:
    some, completions = reached(bench, some, store)
    keys = [cell.request.key for cell in some]
    trials = {
        key: trial_of(arm, cell.sample, completions[key], identity)
        for key, cell in zip(keys, some, strict=True)
        if key in completions
    }
    tried = _look_up([trial for trial in trials.values() if trial is not None], store)
    voids = store.voids([*keys, *tried])
    for cell in some:
        completion, trial = completions.get(cell.request.key), trials.get(cell.request.key)
        known = tried[trial.program.key] if trial is not None else _Tried()
        yield _Known(cell, completion, known, _score(arm, cell, completion, known, voids))


_Mark = tuple[bool, Choice | None]
"""Whether the verdict of a completion counts, and what the selector made of it."""
_COUNTS: _Mark = (True, None)


def _picked(arm: Arm, selector: Selector, known: Sequence[_Known]) -> Iterator[_Mark]:
    """One mark for each completion. What never came is no candidate; where nothing came, the item's void stands in the
    first one's place."""
    for _, group in groupby(known, lambda one: one.cell.sample.id):
        some = list(group)
        places = [place for place, one in enumerate(some) if one.completion is not None]
        picked = pick(selector, arm.policy, some[0].cell.sample, [_candidate(some[place]) for place in places])
        marks: dict[int, _Mark] = {
            place: (index == picked.place, choice)
            for index, (place, choice) in enumerate(zip(places, picked.choices, strict=True))
        }
        yield from (marks.get(place, (not places and place == 0, None)) for place in range(len(some)))


def _candidate(known: _Known) -> Candidate:
    assert known.completion is not None
    cell, score = known.cell, known.score
    return Candidate(cell.request.index, known.completion, cell.earlier, score.answer, score)


def _look_up(trials: Sequence[Trial], store: Store) -> dict[str, _Tried]:
    """What the store has of each program and of its reference, by the program's key."""
    references = {trial.reference.program.key for trial in trials if trial.reference is not None}
    executions = store.executions([*(trial.program.key for trial in trials), *references])
    return {
        trial.program.key: _Tried(
            trial,
            executions.get(trial.program.key),
            executions.get(trial.reference.program.key) if trial.reference is not None else None,
        )
        for trial in trials
    }


def _score(arm: Arm, cell: Cell, completion: Completion | None, tried: _Tried, voids: dict[str, Void]) -> Score:
    if completion is None:
        return _void(voids.get(cell.request.key), "not generated yet")
    if tried.trial is not None and tried.execution is None:
        return _void(voids.get(tried.trial.program.key), "not executed yet")
    return arm.scorer.score(cell.sample, completion, tried.execution)


def _void(void: Void | None, otherwise: str) -> Score:
    return Score("void", None, reason=f"{void.by}: {void.reason}" if void else otherwise)


def _row(bench: Bench, arm: Arm, known: _Known, selected: bool, choice: Choice | None) -> SampleRow:
    cell, completion, tried, score = known.cell, known.completion, known.tried, known.score
    execution = tried.execution
    turns = (*cell.earlier, completion) if completion else ()
    seconds = _sum(turn.seconds for turn in turns)
    usd = None if seconds is None or bench.usd_per_hour is None else seconds / 3600 * bench.usd_per_hour
    return SampleRow(
        step=bench.step.name,
        task=arm.task,
        category=arm.category,
        split=arm.split,
        id=cell.sample.id,
        sample=cell.request.index,
        selected=selected,
        model=bench.model.name,
        policy=arm.policy.name,
        groups=cell.sample.groups,
        prompt=cell.request.prompt,
        prompt_sha256=completion.prompt_sha256 if completion else None,
        completion=cell.request.key,
        text=completion.text if completion else None,
        answer=score.answer,
        outcome=score.outcome,
        score=score.value,
        error_class=score.error_class,
        rule=score.rule,
        tests_passed=score.tests_passed,
        tests_total=score.tests_total,
        tests=execution.tests if execution else (),
        exception=execution.exception if execution else None,
        stdout=execution.stdout if execution else None,
        stderr=execution.stderr if execution else None,
        reason=score.reason,
        finish_reason=completion.finish_reason if completion else None,
        prompt_tokens=_sum(turn.prompt_tokens for turn in turns),
        completion_tokens=_sum(turn.completion_tokens for turn in turns),
        seconds=seconds,
        sandbox_s=execution.wall_s if execution else None,
        usd=usd,
        effective=completion.effective if completion else None,
        cpu_s=execution.cpu_s if execution else None,
        peak_mb=execution.peak_mb if execution else None,
        limits=limits_of(tried.trial, tried.reference) if execution and tried.trial else None,
        reference=tried.reference.outcome if tried.reference else None,
        in_process=execution.in_process if execution else False,
        readings=score.readings,
        criteria=score.criteria,
        earlier=tuple(turn.text for turn in cell.earlier),
        likelihoods=_weighed(cell.request, completion),
        text_sha256=digest_text(completion.text) if completion else None,
        mean_logprob=completion.mean_logprob if completion else None,
        reward=completion.reward if completion else None,
        choice=choice,
    )


def _weighed(request: Request, completion: Completion | None) -> tuple[Weighed, ...]:
    """What the completion says of each continuation; nothing for one that was generated."""
    if completion is None:
        return ()
    return tuple(
        Weighed(text, known.logprob, known.tokens, known.greedy)
        for text, known in zip(request.continuations, completion.likelihoods, strict=True)
    )


_Number = TypeVar("_Number", int, float)


def _sum(parts: Iterable[_Number | None]) -> _Number | None:
    """The sum over the turns of a chat; None where there are none, or where one is not known."""
    known = list(parts)
    found = [part for part in known if part is not None]
    return sum(found[1:], found[0]) if found and len(found) == len(known) else None
