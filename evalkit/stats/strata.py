"""The mean of the means of strata: each stratum (a subject, a level of difficulty) counts alike, whatever its size.

The strata are taken as they are, not as a draw from more of them; their items are independent, so
SE² = Σ SE_g² / G² for G strata (Cochran 1977, chapter 5), with Satterthwaite's degrees of freedom (1946).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.stats.distributions import t_quantile
from evalkit.stats.intervals import Estimate, Interval, estimate, mean, normal_quantile, standard_error

_Z_95 = 0.975


def macro_estimate(strata: Sequence[Sequence[float]], confidence: float = 0.95) -> Estimate | None:
    """The unweighted mean over strata of one score in [0, 1] per item, with its interval; None of nothing.

    Empty strata are left out; `n` of the result counts the others. None as well where one of several strata has fewer
    than two items, for its spread is not known: `mean` of the means is then all that can be said. A single stratum is
    what `estimate` makes of it.
    """
    known = [scores for scores in strata if scores]
    if len(known) == 1:
        alone = estimate(known[0], confidence)
        return None if alone is None else alone._replace(n=1)
    if not known or min(map(len, known)) < 2:
        return None
    value = mean([math.fsum(scores) / len(scores) for scores in known])
    assert value is not None  # there is a stratum
    squares = [_squared_error(scores) for scores in known]
    total = math.fsum(squares)
    freedom = total**2 / math.fsum(square**2 / (len(scores) - 1) for square, scores in zip(squares, known, strict=True))
    error = math.sqrt(total) / len(known)
    half = error * t_quantile(0.5 + confidence / 2.0, freedom)
    interval = Interval(max(0.0, value - half), min(1.0, value + half))
    return Estimate(value, interval, error, len(known), "strata_se")


def _squared_error(scores: Sequence[float]) -> float:
    """SE² of a stratum's mean. Where its scores do not differ at all, their spread would say that nothing can be
    otherwise: there it is that of a share moved towards one half by z²/2 of each outcome (Agresti and Coull 1998)."""
    error = standard_error(scores)
    if error:
        return error**2
    z_squared = normal_quantile(_Z_95) ** 2
    n = len(scores) + z_squared
    share = (math.fsum(scores) + z_squared / 2.0) / n
    return share * (1.0 - share) / n
