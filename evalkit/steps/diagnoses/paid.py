"""What answers cost: tokens, seconds and USD, of those that count and of those that do not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

from evalkit.core.types import SampleRow

_Number = TypeVar("_Number", int, float)


class Cost(Struct):
    """Sums over answers. None once a part is not known."""

    answers: int = 0
    tokens: int | None = 0
    seconds: float | None = 0.0
    usd: float | None = 0.0

    def add(self, row: SampleRow) -> None:
        if row.text is None and row.outcome == "void" and not row.earlier:
            return  # nothing came back
        self.answers += 1
        self.tokens = plus(self.tokens, row.completion_tokens)
        self.seconds = plus(self.seconds, row.seconds)
        self.usd = plus(self.usd, row.usd)


def plus(total: _Number | None, part: _Number | None) -> _Number | None:
    """The sum; None once a part is not known."""
    return None if total is None or part is None else total + part


def sum_of(costs: Iterable[Cost]) -> Cost:
    """All of them together."""
    total = Cost()
    for cost in costs:
        total.answers += cost.answers
        total.tokens = plus(total.tokens, cost.tokens)
        total.seconds = plus(total.seconds, cost.seconds)
        total.usd = plus(total.usd, cost.usd)
    return total
