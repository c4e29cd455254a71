"""The verb `bench`: ask one model every item of a suite, and score the answers.

This module says what a bench consists of. `fill.py` obtains what the store does not have yet, `rows.py` reads from the
store what is known: everything that people see is made from the latter, so a fresh run, a resumed run and a report
made again cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec
from msgspec import Struct

from evalkit.core.keys import completion_key, execution_key
from evalkit.core.ports import Scorer
from evalkit.core.types import Completion, Fingerprint, Model, Program, Request, Sample, SamplingParams
from evalkit.spec.model import BenchStep, Policy

_Item = TypeVar("_Item")


class Arm(Struct, frozen=True):
    """One task of a bench, ready to be asked: its samples, its sampling, its scorer.

    `origin` says in words where the rows came from, `sha256` is their digest.
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


class Bench(Struct, frozen=True):
    """A bench step with everything looked up. `salt` is empty but for `--fresh` runs."""

    step: BenchStep
    model: Model
    fingerprint: Fingerprint
    arms: tuple[Arm, ...]
    salt: str = ""
    usd_per_hour: float | None = None

    @property
    def executes(self) -> bool:
        return any(arm.scorer.executes for arm in self.arms)


class Cell(Struct, frozen=True):
    """One completion's place: the sample it answers and the request that asks for it."""

    sample: Sample
    request: Request


def cells(bench: Bench, arm: Arm) -> Iterator[Cell]:
    """Every completion that an arm wants, in plan order."""
    for sample in arm.samples:
        for index in range(arm.policy.samples):
            key = completion_key(bench.fingerprint, sample, arm.sampling, index=index, salt=bench.salt)
            yield Cell(sample, Request(key, sample.task, sample.id, sample.prompt, arm.sampling, index))


def program_of(arm: Arm, sample: Sample, completion: Completion, identity: str) -> Program | None:
    """The program that judges a completion, with its key; None when nothing has to be executed."""
    program = arm.scorer.program(sample, completion)
    return None if program is None else msgspec.structs.replace(program, key=execution_key(program, identity))


def chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of at most `size` items."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
