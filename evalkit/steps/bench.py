"""The verb `bench`: ask one model every item of a suite, and score the answers.

This module says what a bench consists of. `fill.py` obtains what the store does not have yet, `rows.py` reads from the
store what is known: everything that people see is made from the latter, so a fresh run, a resumed run and a report
made again cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec
from msgspec import Struct

from evalkit.core.keys import completion_key, execution_key
from evalkit.core.ports import Scorer, Selector
from evalkit.core.price import Rate
from evalkit.core.routing import Escalation
from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Limits,
    Model,
    Program,
    Reference,
    Request,
    Sample,
    SamplingParams,
)
from evalkit.spec.model import BenchStep, Policy
from evalkit.steps.judges import Judge

_Item = TypeVar("_Item")


class Arm(Struct, frozen=True):
    """One task of a bench, ready to be asked: its samples, its sampling, its scorer.

    `turns` say how each turn is asked where they differ; empty where `sampling` holds for all. `origin` says in words
    where the rows came from, `sha256` is their digest; `shots_*` of the examples' rows. `judge` answers what the
    `selector` asks.
    """

    category: str
    task: str
    split: str
    samples: tuple[Sample, ...]
    policy: Policy
    sampling: SamplingParams
    scorer: Scorer
    origin: str
    sha256: str
    shots_origin: str = ""
    shots_sha256: str = ""
    selector: Selector | None = None
    judge: Judge | None = None
    turns: tuple[SamplingParams, ...] = ()

    def asked(self, turn: int) -> SamplingParams:
        """How one turn is asked."""
        return self.turns[turn] if self.turns else self.sampling

    @property
    def schemas(self) -> tuple[str | None, ...]:
        """The schema that the answer to each turn is made to obey; empty where all answers are free."""
        found = tuple(one.json_schema for one in self.turns or (self.sampling,))
        return found if any(schema is not None for schema in found) else ()

    @property
    def weighs(self) -> bool:
        """Whether the model weighs continuations here: each item is asked once then, whatever the policy says."""
        return any(self.scorer.continuations(sample) for sample in self.samples)


class Gate(Struct, frozen=True):
    """When a model's answers to an item are not kept and the next model is asked; `rubric` gives the points where it
    reads them."""

    when: Escalation
    rubric: Selector | None = None


class Bench(Struct, frozen=True):
    """A bench step with everything looked up, or what one model of its `route` has of it. `salt` is empty but for
    `--fresh` runs.

    Of an escalation the first model has the `gate`, and the second comes `after` it: its samples are all those that may
    get there (`routing.admitted`).
    """

    step: BenchStep
    model: Model
    fingerprint: Fingerprint
    arms: tuple[Arm, ...]
    salt: str = ""
    rate: Rate = Rate()
    route: str = ""
    gate: Gate | None = None
    after: Bench | None = None

    @property
    def executes(self) -> bool:
        return any(arm.scorer.executes for arm in self.arms)


class Cell(Struct, frozen=True):
    """One completion's place: the sample it answers and the request that asks for it.

    `earlier` are the answers of the turns before, which the request's prompt holds. `turns` say how each turn is asked,
    as its arm has it.
    """

    sample: Sample
    request: Request
    earlier: tuple[Completion, ...] = ()
    turns: tuple[SamplingParams, ...] = ()

    @property
    def last(self) -> bool:
        """Whether this is the turn whose answer is scored."""
        return self.request.turn >= len(self.sample.followups)


def cells(bench: Bench, arm: Arm) -> Iterator[Cell]:
    """Every completion that an arm wants, in plan order; of a chat of several turns the first one.

    A sample whose continuations are weighed is asked once: there is nothing to draw, so a second answer is the first.
    """
    for sample in arm.samples:
        weighed = arm.scorer.continuations(sample)
        for index in range(1 if weighed else arm.policy.answers):
            request = Request(
                "", sample.task, sample.id, sample.prompt, arm.asked(0), index, continuations=tuple(weighed)
            )
            key = completion_key(bench.fingerprint, request, bench.salt)
            yield Cell(sample, msgspec.structs.replace(request, key=key), turns=arm.turns)


class Trial(Struct, frozen=True):
    """What is executed to judge one completion: its program, with key and declared limits, and the reference program
    that has to be timed before, where one limits it."""

    program: Program
    reference: Reference | None = None


def trial_of(arm: Arm, sample: Sample, completion: Completion, identity: str) -> Trial | None:
    """What has to be executed for a completion, with its keys; None when nothing has to be."""
    program = arm.scorer.program(sample, completion)
    if program is None:
        return None
    reference = reference_of(arm, sample, identity)
    return Trial(msgspec.structs.replace(program, key=execution_key(program, identity, reference)), reference)


def reference_of(arm: Arm, sample: Sample, identity: str) -> Reference | None:
    """The reference program that limits the answers to a sample, with its key."""
    found = arm.scorer.reference(sample) if arm.scorer.executes else None
    if found is None:
        return None
    keyed = msgspec.structs.replace(found.program, key=execution_key(found.program, identity))
    return msgspec.structs.replace(found, program=keyed)


def limits_of(trial: Trial, timed: Execution | None) -> Limits:
    """The limits that hold for a trial's program. `timed` is the execution of its reference program.

    The declared ones, unless the reference passed: then at most so many times its processor time, in whole seconds,
    rounded up: so a kernel's limit can hold it, and the small differences between two timings seldom move it.
    """
    declared, reference = trial.program.limits, trial.reference
    if reference is None or timed is None or timed.outcome != "passed" or timed.cpu_s is None:
        return declared
    allowed = math.ceil(max(reference.floor_s, reference.factor * timed.cpu_s))
    return msgspec.structs.replace(declared, cpu_s=min(declared.cpu_s, float(allowed)))


def chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of at most `size` items."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
