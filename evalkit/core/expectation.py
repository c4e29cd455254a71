"""What is expected of a step before it runs, and what became of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Claim = Literal["improves", "worsens", "better_by", "no_worse_than", "at_least", "at_most"]
Judgement = Literal["confirmed", "refuted", "inconclusive"]

ALL = "all"
"""The place of all categories together in `expect:`."""
OF_A_DIFFERENCE: tuple[Claim, ...] = ("improves", "worsens", "better_by", "no_worse_than")
OF_A_SCORE: tuple[Claim, ...] = ("at_least", "at_most")


class Condition(Struct, frozen=True):
    """One claim about a category of a step, or about `all`. `wanted` is its number, None where it has none."""

    category: str
    claim: Claim
    wanted: float | None = None

    @property
    def words(self) -> str:
        """As it stands in a spec: `at_least: 0.5`."""
        return f"{self.claim}: {'true' if self.wanted is None else f'{self.wanted:g}'}"


class Expected(Struct, frozen=True):
    """A condition and the step that it is about, as the lock has it."""

    step: str
    condition: Condition
