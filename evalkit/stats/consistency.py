"""How far several answers to one item agree, from how often each distinct answer was given.

What agrees may still be wrong: these numbers never saw a gold answer. Sources: Simpson 1949 for the agreement of pairs;
Shannon 1948 for the entropy; Hill 1973 for the effective number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def modal_rate(counts: Sequence[int]) -> float | None:
    """The share of the most frequent answer; None of nothing. It is 1/n at least, so few answers flatter it."""
    total = _total(counts)
    return max(counts) / total if total else None


def pairwise_agreement(counts: Sequence[int]) -> float | None:
    """The chance that two different ones of the answers are equal: Σ c(c-1) / (n(n-1)). None below two answers.

    Unbiased: the same on average for any number of answers, which modal rate and entropy are not.
    """
    total = _total(counts)
    if total < 2:
        return None
    return sum(count * (count - 1) for count in counts) / (total * (total - 1))


def entropy(counts: Sequence[int]) -> float | None:
    """Shannon's entropy in nats, 0 where all answers are equal; None of nothing. From few answers it is too low."""
    total = _total(counts)
    if not total:
        return None
    return math.fsum(count / total * math.log(total / count) for count in counts if count)


def effective_number(counts: Sequence[int]) -> float | None:
    """1 / Σ p²: how many equally frequent answers would be as diverse. None of nothing."""
    total = _total(counts)
    return total**2 / sum(count**2 for count in counts) if total else None


def _total(counts: Sequence[int]) -> int:
    if any(count < 0 for count in counts):
        raise ValueError(f"{min(counts)} is no count")
    return sum(counts)
