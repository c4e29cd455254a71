"""Several tests at once: the more of them, the more likely one is below 0.05 by chance.

Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Each p adjusted for all of them, in their order: where it is below 0.05, so is the chance of any false alarm.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none falls below the one before, none exceeds 1.
    Holds whether the tests depend on each other or not.
    """
    if any(not 0.0 <= p <= 1.0 for p in ps):
        raise ValueError("a p lies between 0 and 1")
    adjusted = [1.0] * len(ps)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        least = max(least, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = least
    return adjusted
