"""Two models, or two settings, on the same items: only items that they answer differently say which does better.

Sources: McNemar 1947; Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning
Algorithms", for its use here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple


class Discordant(NamedTuple):
    """How many items only the first passes, and how many only the second."""

    only_first: int
    only_second: int


def discordant(pairs: Iterable[tuple[bool, bool]]) -> Discordant:
    """The counts that a paired test is about, from the verdicts of both on each item."""
    found = [(first, second) for first, second in pairs if first != second]
    only_first = sum(first for first, _ in found)
    return Discordant(only_first, len(found) - only_first)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test: min(1, 2 · P[Bin(b + c, ½) ≤ min(b, c)]), computed with whole numbers.

    1 where the two never differ. Fewer than six items that all go one way never give p < 0.05.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"{only_first} and {only_second} are no counts")
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, count) for count in range(fewer + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))
