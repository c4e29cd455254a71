"""Do two raters say the same of the same things, more often than raters who guess as often as they do?

Sources: Cohen 1960 for kappa; Fleiss, Cohen and Everitt 1969 for why its simple error is only a guide.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from evalkit.stats.intervals import Interval, normal_quantile, wilson


class Agreement(NamedTuple):
    """Over `n` things: `observed` is the share on which both say the same, with Wilson's interval, `expected` that of
    raters who do not look at the things. `kappa` is (observed - expected) / (1 - expected): 1 is full agreement, 0 that
    of chance; None where both always say one and the same, for there is nothing to agree on.
    """

    observed: float
    interval: Interval
    expected: float
    kappa: float | None
    kappa_interval: Interval | None
    n: int


def agreement(pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement | None:
    """How far the first of each pair is the second; None of nothing.

    Kappa falls where one verdict is much more frequent than the others although raters agree: read the shares beside.
    Its interval is kappa ± z·√(observed (1 - observed) / n) / (1 - expected), which is too narrow for few things.
    """
    n = len(pairs)
    same = sum(first == second for first, second in pairs)
    interval = wilson(same, n)
    if interval is None:
        return None
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    observed = same / n
    expected = sum(times * seconds[what] for what, times in firsts.items()) / n**2
    if expected == 1.0:
        return Agreement(observed, interval, expected, None, None, n)
    kappa = (observed - expected) / (1.0 - expected)
    half = normal_quantile(0.975) * math.sqrt(observed * (1.0 - observed) / n) / (1.0 - expected)
    return Agreement(observed, interval, expected, kappa, Interval(max(-1.0, kappa - half), min(1.0, kappa + half)), n)
