"""From the store to rows: what is known of each completion of a bench. Pure: nothing is asked, nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from msgspec import Struct

from evalkit.core.digest import digest_text
from evalkit.core.ports import Store
from evalkit.core.price import Used
from evalkit.core.types import Completion, Request, SampleRow, Score, Weighed
from evalkit.steps.bench import Arm, Bench, limits_of
from evalkit.steps.known import Known, Mark, items
from evalkit.steps.routing import admitted, marks


class Told(Struct, frozen=True):
    """A row, and what it was made of."""

    row: SampleRow
    known: Known
    mark: Mark


def rows(bench: Bench, store: Store, identity: str) -> Iterator[SampleRow]:
    """What the store knows of a bench, one row a completion, in plan order. What is missing is void.

    Of the second model of an escalation these are the items that the first one's answers send on.
    """
    return (one.row for one in told(bench, store, identity))


def told(bench: Bench, store: Store, identity: str) -> Iterator[Told]:
    """The same with what each row was made of."""
    bench = admitted(bench, store, identity)
    for arm in bench.arms:
        for some in items(bench, arm, store, identity):
            for item, found in zip(some, marks(bench, arm, some, store), strict=True):
                for one, mark in zip(item, found, strict=True):
                    yield Told(_row(bench, arm, one, mark), one, mark)


def _row(bench: Bench, arm: Arm, known: Known, mark: Mark) -> SampleRow:
    cell, completion, tried = known.cell, known.completion, known.tried
    score = known.score if mark.void is None else Score("void", None, reason=mark.void)
    execution = tried.execution
    turns = (*cell.earlier, completion) if completion else cell.earlier  # what came was paid for
    seconds = _sum(turn.seconds for turn in turns)
    prompt_tokens = _sum(turn.prompt_tokens for turn in turns)
    written = _sum(0 if turn.likelihoods else turn.completion_tokens for turn in turns)
    usd = bench.rate.usd(Used(prompt_tokens, written, seconds))
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
        prompt_tokens=prompt_tokens,
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
