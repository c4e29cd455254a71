"""pass@k: the chance that at least one of k answers to an item passes.

Source: Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374), section 2.1.
"""

from __future__ import annotations

import math
from fractions import Fraction


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate 1 - C(n - c, k) / C(n, k) from n answers of which c passed, rounded once.

    Raises ValueError where it is not defined: k above n (fewer answers than are asked about) or below 1.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {max(k, 1)} answers to each item, there are {n}")
    if not 0 <= c <= n:
        raise ValueError(f"{c} of {n} answers cannot have passed")
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))
