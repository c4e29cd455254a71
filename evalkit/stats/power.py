"""How large a difference must be before a number of pairs can be expected to show it.

Sources: Connor 1987 ("Sample size for testing differences in proportions for the paired-sample design") for yes and no;
Miller 2024 (arXiv 2411.00640) for scores.
"""

from __future__ import annotations

import math

from evalkit.stats.intervals import normal_quantile
from evalkit.stats.paired import fewest_flips

_HALVINGS = 60


def pairs_to_see(difference: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many pairs show a difference of two rates with this power, two-sided, if the share `discordance` of the pairs
    goes one way or the other.

    The difference cannot be larger than that share.
    """
    return math.ceil(_pairs(difference, discordance, power, alpha))


def detectable_difference(n: int, discordance: float, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The smallest difference that n pairs show with this power; None where they show none, however clear it is.

    The inverse of `pairs_to_see`. None too where fewer pairs would differ than an exact test needs.
    """
    if (
        discordance <= 0.0
        or n * discordance < fewest_flips(alpha)
        or _pairs(discordance, discordance, power, alpha) > n
    ):
        return None
    low, high = 0.0, discordance
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle and _pairs(middle, discordance, power, alpha) <= n:
            high = middle
        else:
            low = middle
    return high


def detectable_mean(n: int, variance: float, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """The smallest difference of a mean over n items that is shown with this power; None of none."""
    quantiles = normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)
    return quantiles * math.sqrt(variance / n) if n else None


def _pairs(difference: float, discordance: float, power: float, alpha: float) -> float:
    if not 0.0 < difference <= discordance <= 1.0:
        raise ValueError(f"a difference of {difference} cannot come from a share of {discordance} that differs")
    level, reach = normal_quantile(1.0 - alpha / 2.0), normal_quantile(power)
    spread = math.sqrt(max(0.0, discordance - difference**2))
    return float((level * math.sqrt(discordance) + reach * spread) ** 2 / difference**2)
