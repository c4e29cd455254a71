"""From the store to rows: what is known of each completion of a bench. Pure: nothing is asked, nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, repeat
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.digest import digest_text
from evalkit.core.judging import Judged
from evalkit.core.ports import Store
from evalkit.core.selection import Candidate
from evalkit.core.types import Choice, Completion, Execution, Request, Sample, SampleRow, Score, Void, Weighed
from evalkit.steps.asking import Heard, hear
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
            picked = _picked(bench, arm, known, store) if arm.selector is not None else repeat(_Mark())
            for one, mark in zip(known, picked, strict=False):
                yield _row(bench, arm, one, mark)


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


class _Mark(Struct, frozen=True):
    """Whether the verdict of a completion counts, and what the selector and its judge made of it. `void`: it would
    count, and what was to pick it is missing."""

    selected: bool = True
    choice: Choice | None = None
    judged: Judged | None = None
    void: str | None = None


class _Offered(Struct, frozen=True):
    """A completion that came, as a candidate, with what a judge said of it."""

    place: int
    candidate: Candidate
    heard: Heard | None


def _picked(bench: Bench, arm: Arm, known: Sequence[_Known], store: Store) -> Iterator[_Mark]:
    """One mark for each completion. What never came is no candidate; where nothing came, the item's void stands in the
    first one's place."""
    came = [(one.cell.sample, _candidate(one, one.completion)) for one in known if one.completion is not None]
    heard = iter(hear(bench, arm, came, store))
    for _, group in groupby(known, lambda one: one.cell.sample.id):
        some = list(group)
        offered = [
            _offered(place, _candidate(one, one.completion), next(heard))
            for place, one in enumerate(some)
            if one.completion is not None
        ]
        marks = _chosen(arm, some[0].cell.sample, offered)
        yield from (marks.get(place, _Mark(not offered and place == 0)) for place in range(len(some)))


def _chosen(arm: Arm, sample: Sample, offered: Sequence[_Offered]) -> dict[int, _Mark]:
    """The marks of an item's candidates, by place. Where a judge's answer is missing nothing is picked: the item's void
    stands in the place of its first candidate."""
    assert arm.selector is not None
    judged = [one.heard.judged if one.heard is not None else None for one in offered]
    missing = next((one.heard.void for one in offered if one.heard is not None and one.heard.void is not None), None)
    if missing is not None:
        first = offered[0].place
        return {
            one.place: _Mark(one.place == first, None, cost, f"judge: {missing}" if one.place == first else None)
            for one, cost in zip(offered, judged, strict=True)
        }
    picked = pick(arm.selector, arm.policy, sample, [one.candidate for one in offered])
    return {
        one.place: _Mark(index == picked.place, choice, cost)
        for index, (one, choice, cost) in enumerate(zip(offered, picked.choices, judged, strict=True))
    }


def _candidate(known: _Known, completion: Completion) -> Candidate:
    cell, score = known.cell, known.score
    return Candidate(cell.request.index, completion, cell.earlier, score.answer, score)


def _offered(place: int, candidate: Candidate, heard: Heard | None) -> _Offered:
    told = candidate if heard is None else replace(candidate, marks=heard.marks)
    return _Offered(place, told, heard)


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


def _row(bench: Bench, arm: Arm, known: _Known, mark: _Mark) -> SampleRow:
    cell, completion, tried = known.cell, known.completion, known.tried
    score = known.score if mark.void is None else Score("void", None, reason=mark.void)
    execution = tried.execution
    turns = (*cell.earlier, completion) if completion else ()
    seconds = _sum(turn.seconds for turn in turns)
    usd = None if seconds is None or bench.usd_per_hour is None else seconds / 3600 * bench.usd_per_hour
    if mark.judged is not None:
        usd = _sum([usd, mark.judged.usd])
    return SampleRow(
        step=bench.step.name,
        task=arm.task,
        category=arm.category,
        split=arm.split,
        id=cell.sample.id,
        sample=cell.request.index,
        selected=mark.selected,
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
        choice=mark.choice,
        judged=mark.judged,
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
