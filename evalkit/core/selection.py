"""Candidates, and what a selector makes of them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from evalkit.core.types import Completion, Contribution, Score


class Select(Struct, frozen=True):
    """How one of several candidates is picked: `by` a selector, with the `rubric` or the `judge` that it needs.

    `on_tie` says which of the candidates with the highest value, the first of them or another.
    """

    by: str
    on_tie: Literal["first", "random", "shortest", "longest"] = "first"
    rubric: str | None = None
    judge: str | None = None


class Candidate(Struct, frozen=True):
    """One of several answers to an item, as a selector sees it.

    `earlier` are the answers to the turns before the last. `answer` is what the task's scorer reads in the text, and
    says nothing of whether it is right. `score` is there for oracles only.
    """

    index: int
    completion: Completion
    earlier: tuple[Completion, ...] = ()
    answer: str | None = None
    score: Score | None = None


class Valued(Struct, frozen=True):
    """What a selector ranks a candidate by, the higher the better; None where it has no value for it, with a reason."""

    value: float | None
    criteria: dict[str, Contribution] = {}
    reason: str | None = None
