"""Sums over sample rows that `collect.py` makes results of: each takes one row, or one number, at a time."""

from __future__ import annotations

import math
from collections import Counter

from msgspec import Struct, field

from evalkit.core.judging import Judged
from evalkit.core.types import Contribution, Limits, SampleRow, Share
from evalkit.report.results import CriterionUse, Judging, LimitUse, Reading

NEAR = 0.8
"""The share of a time limit from which on a program is near it: a machine a quarter slower decides otherwise."""


class Sum(Struct):
    """A sum that is unknown as soon as one part is."""

    total: float = 0.0
    parts: int = 0
    unknown: bool = False

    def add(self, value: float | None) -> None:
        if value is None:
            self.unknown = True
        else:
            self.total += value
            self.parts += 1

    @property
    def value(self) -> float | None:
        return None if self.unknown or not self.parts else self.total


class JudgingTally(Struct):
    """What judges were asked."""

    questions: int = 0
    unread: int = 0
    prompt_tokens: Sum = field(default_factory=Sum)
    completion_tokens: Sum = field(default_factory=Sum)
    seconds: Sum = field(default_factory=Sum)
    usd: Sum = field(default_factory=Sum)

    def add(self, judged: Judged) -> None:
        self.questions += judged.questions
        self.unread += judged.unread
        for name in ("prompt_tokens", "completion_tokens", "seconds", "usd"):
            getattr(self, name).add(getattr(judged, name))

    def measure(self) -> Judging | None:
        if not self.questions:
            return None
        prompt, completion = self.prompt_tokens.value, self.completion_tokens.value
        return Judging(
            questions=self.questions,
            unread=self.unread,
            prompt_tokens=None if prompt is None else round(prompt),
            completion_tokens=None if completion is None else round(completion),
            seconds=self.seconds.value,
            usd=self.usd.value,
        )


def together(*sums: Sum) -> float | None:
    """Several sums as one; a sum of nothing adds nothing."""
    known = [part.value for part in sums if part.parts or part.unknown]
    found = [value for value in known if value is not None]
    return math.fsum(found) if found and len(found) == len(known) else None


class Span(Struct):
    """The smallest and the largest of some numbers."""

    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        self.low = min(self.low, value)
        self.high = max(self.high, value)

    @property
    def value(self) -> tuple[float, float] | None:
        return (self.low, self.high) if self.low <= self.high else None


class LimitTally(Struct):
    """How near programs came to their time limits, and which these were."""

    counts: Counter[str] = field(default_factory=Counter)
    cpu: Span = field(default_factory=Span)
    wall: Span = field(default_factory=Span)

    def add(self, row: SampleRow, limits: Limits) -> None:
        self.counts["programs"] += 1
        self.cpu.add(limits.cpu_s)
        self.wall.add(limits.wall_s)
        if near_limit(row, limits):
            self.counts["near"] += 1
            self.counts["timeouts"] += row.error_class == "timeout"
            self.counts["passed"] += row.outcome == "pass"

    def measure(self, broken_references: int) -> LimitUse:
        return LimitUse(
            programs=self.counts["programs"],
            near=self.counts["near"],
            timeouts=self.counts["timeouts"],
            passed=self.counts["passed"],
            cpu_s=self.cpu.value,
            wall_s=self.wall.value,
            broken_references=broken_references,
        )


def near_limit(row: SampleRow, limits: Limits) -> bool:
    """Whether a program used most of the time that it had, or more."""
    return (
        row.error_class == "timeout"
        or (row.cpu_s is not None and row.cpu_s >= NEAR * limits.cpu_s)
        or (row.sandbox_s is not None and row.sandbox_s >= NEAR * limits.wall_s)
    )


class ReadingTally(Struct):
    """What one other rule makes of answers."""

    answers: int = 0
    part: float = 0.0
    of: int = 0
    otherwise: int = 0
    verdicts: bool = True

    def add(self, share: Share, score: float) -> None:
        self.answers += 1
        self.part += share.part
        self.of += share.of
        self.otherwise += (share.part == share.of) != (score == 1.0)
        self.verdicts = self.verdicts and float(share.part).is_integer()

    def measure(self) -> Reading:
        """Shares such as mc2 pass nothing and fail nothing: of them none is judged otherwise."""
        share = self.part / self.of if self.of else None
        return Reading(self.answers, self.part, self.of, share, self.otherwise if self.verdicts else None)


class CriterionTally(Struct):
    """What one criterion of a rubric gives to answers."""

    answers: int = 0
    points: float = 0.0
    of: float | None = 0.0
    whole: int = 0

    def add(self, given: Contribution) -> None:
        self.answers += 1
        self.points += given.points
        self.of = None if self.of is None or given.of is None else self.of + given.of
        self.whole += given.points == given.of

    def measure(self) -> CriterionUse:
        return CriterionUse(self.answers, self.points, self.of, self.points / self.of if self.of else None, self.whole)
