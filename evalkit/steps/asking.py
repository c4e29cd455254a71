"""Judging candidates: which questions a selector puts to a judge, asking them, and what of the answers is stored.

Questions are asked once all candidates are there, because the judge's model takes the place of the one that answered.
Each is a completion of its own under the judge's fingerprint: a kill loses none, and another rule for ties asks nothing
again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from evalkit.core.judging import Judged, Mark, Question
from evalkit.core.ports import Store, Tools
from evalkit.core.price import Used
from evalkit.core.selection import Candidate
from evalkit.core.types import Completion, Progress, Request, Sample, Void
from evalkit.steps.bench import Arm, Bench, Cell, cells, chunks
from evalkit.steps.judges import Judge, mark_of, request_of
from evalkit.steps.keeping import keep
from evalkit.steps.turns import reached

_CANDIDATES = 512


class Asked(Struct, frozen=True):
    """One question about one candidate, and the request that asks it."""

    question: Question
    request: Request


class Heard(Struct, frozen=True):
    """What a judge said of one candidate. `void`: why some of it is missing, so that nothing can be picked yet."""

    marks: dict[str, Mark]
    judged: Judged
    void: str | None = None


def asked(bench: Bench, arm: Arm, sample: Sample, candidate: Candidate) -> tuple[Asked, ...]:
    """What the judge of an arm is asked about a candidate; nothing where no selector asks."""
    judge = arm.judge
    if judge is None or arm.selector is None:
        return ()
    return tuple(
        Asked(question, request_of(judge, sample, candidate, question, bench.salt))
        for question in arm.selector.questions(sample, candidate)
    )


def candidate_of(cell: Cell, completion: Completion) -> Candidate:
    """A candidate as a judge is shown it: without what the task's scorer makes of it."""
    return Candidate(cell.request.index, completion, cell.earlier)


def wanted_of(bench: Bench, arm: Arm, store: Store) -> Iterator[dict[str, Request]]:
    """The judge's requests that follow from the stored candidates, by key, some at a time."""
    for some in chunks(cells(bench, arm), _CANDIDATES):
        found, answers = reached(bench, some, store)
        pairs = ((cell, answers.get(cell.request.key)) for cell in found)
        yield {
            one.request.key: one.request
            for cell, answer in pairs
            if answer is not None
            for one in asked(bench, arm, cell.sample, candidate_of(cell, answer))
        }


def ask(bench: Bench, tools: Tools) -> None:
    """Obtain every answer of a judge that the store lacks, for all candidates that it has.

    Raises what `fill` raises; all that was obtained until then is stored.
    """
    for arm in bench.arms:
        if arm.judge is not None:
            _Asking(bench, arm, arm.judge, tools).run()


class _Asking:
    def __init__(self, bench: Bench, arm: Arm, judge: Judge, tools: Tools) -> None:
        self._bench = bench
        self._arm = arm
        self._judge = judge
        self._tools = tools
        self._stage = f"{arm.category}, judged by {judge.name}"

    def run(self) -> None:
        store = self._tools.store
        keys = {key for some in wanted_of(self._bench, self._arm, store) for key in some}
        known = store.known("completions", keys)
        self._tools.listener.stage(self._bench.step.name, self._stage, len(keys), len(known))
        self._advance(Progress(early=len(known)))
        for some in wanted_of(self._bench, self._arm, store):
            missing = [request for key, request in some.items() if key not in known]
            known |= some.keys()  # a chunk may ask what the one before has asked
            if missing:
                self._generate(missing)
        self._tell_unread(keys)

    def _generate(self, missing: list[Request]) -> None:
        keep(self._tools.engine(self._judge.model).generate(missing), self._tools.store, self._settle)

    def _settle(self, fresh: list[Completion], voids: list[Void]) -> None:
        tokens = sum(one.completion_tokens or 0 for one in fresh)
        self._advance(Progress(done=len(fresh), early=len(fresh), tokens=tokens, void=len(voids)))

    def _advance(self, progress: Progress) -> None:
        if progress != Progress():
            self._tools.listener.advance(self._bench.step.name, self._stage, progress)

    def _tell_unread(self, keys: Iterable[str]) -> None:
        """How many answers are neither yes nor no: their candidates have no value."""
        unread = total = 0
        for some in chunks(sorted(keys), _CANDIDATES):
            answers = self._tools.store.completions(some).values()
            total += len(answers)
            unread += sum(mark_of(self._judge, one).value is None for one in answers)
        if unread:
            self._tools.listener.note(
                f"{self._arm.category}: {unread} of {total} answers of the judge '{self._judge.name}' are neither yes "
                "nor no; the candidates that they are about have no value"
            )


def hear(bench: Bench, arm: Arm, candidates: Sequence[tuple[Sample, Candidate]], store: Store) -> list[Heard | None]:
    """What the store has of a judge's answers about candidates, in their order; None where no judge is asked."""
    judge = arm.judge
    if judge is None:
        return [None for _ in candidates]
    put = [asked(bench, arm, sample, candidate) for sample, candidate in candidates]
    keys = list({one.request.key for some in put for one in some})
    answers, voids = store.completions(keys), store.voids(keys)
    hearing = _Hearing(judge, answers, voids)
    return [hearing.of(sample.id, some) for (sample, _), some in zip(candidates, put, strict=True)]


class _Hearing:
    """Reads answers, and counts the cost of each once an item."""

    def __init__(self, judge: Judge, answers: dict[str, Completion], voids: dict[str, Void]) -> None:
        self._judge = judge
        self._answers = answers
        self._voids = voids
        self._paid: set[tuple[str, str]] = set()

    def of(self, item: str, put: Sequence[Asked]) -> Heard:
        marks: dict[str, Mark] = {}
        own: list[Completion] = []
        missing: str | None = None
        for one in put:
            key = one.request.key
            answer = self._answers.get(key)
            if answer is None:
                missing = missing or (self._voids[key].reason if key in self._voids else "not asked yet")
                continue
            marks[one.question.name] = mark_of(self._judge, answer)
            if (item, key) not in self._paid:
                self._paid.add((item, key))
                own.append(answer)
        return Heard(marks, self._judged(put, marks, own), missing)

    def _judged(self, put: Sequence[Asked], marks: dict[str, Mark], own: Sequence[Completion]) -> Judged:
        seconds = _sum([one.seconds for one in own])
        prompt_tokens = _whole(_sum([one.prompt_tokens for one in own]))
        completion_tokens = _whole(_sum([0 if one.likelihoods else one.completion_tokens for one in own]))
        return Judged(
            judge=self._judge.name,
            model=self._judge.model.name,
            questions=len(put),
            unread=sum(mark.value is None for mark in marks.values()),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            seconds=seconds,
            usd=self._judge.rate.usd(Used(prompt_tokens, completion_tokens, seconds)),
        )


def _sum(parts: Sequence[float | None]) -> float | None:
    """The sum, 0 of nothing; None where a part is not known."""
    known = [part for part in parts if part is not None]
    return math.fsum(known) if len(known) == len(parts) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
