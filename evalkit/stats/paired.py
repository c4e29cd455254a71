"""Two models, or two settings, on the same items: only items that they answer differently say which does better.

Sources: McNemar 1947; Dietterich 1998, "Approximate Statistical Tests for Comparing Supervised Classification Learning
Algorithms", for its use here; Fagerland, Lydersen and Laake 2013 for mid-p; Newcombe 1998, "Improved confidence
intervals for the difference between binomial proportions based on paired data", for method 10; Miller 2024
(arXiv 2411.00640) for the paired error; Fisher 1935 for the flips of signs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from random import Random
from typing import NamedTuple

from evalkit.stats.intervals import Interval, mean, normal_quantile, standard_error, wilson

_EXACT = 2**16
_ROUNDING = 1e-9


class Discordant(NamedTuple):
    """How many items only the first passes, and how many only the second."""

    only_first: int
    only_second: int


class Difference(NamedTuple):
    """The first rate minus the second with its interval. `se` is None where the interval does not come from one."""

    value: float
    interval: Interval
    se: float | None


def discordant(pairs: Iterable[tuple[bool, bool]]) -> Discordant:
    """The counts that a paired test is about, from the verdicts of both on each item."""
    found = [(first, second) for first, second in pairs if first != second]
    only_first = sum(first for first, _ in found)
    return Discordant(only_first, len(found) - only_first)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test: min(1, 2 · P[Bin(b + c, ½) ≤ min(b, c)]), computed with whole numbers.

    1 where the two never differ. Fewer than six items that all go one way never give p < 0.05.
    """
    tail, _ = _tail(only_first, only_second)
    return float(min(Fraction(1), 2 * tail))


def mid_p(only_first: int, only_second: int) -> float:
    """McNemar's mid-p: half the chance of the very outcome is left out of each tail.

    Closer to the stated level than the exact p, which errs on the safe side; it may exceed the level slightly.
    """
    tail, chance = _tail(only_first, only_second)
    return float(2 * tail - chance)


def _tail(only_first: int, only_second: int) -> tuple[Fraction, Fraction]:
    """P[Bin(b + c, ½) ≤ min(b, c)] and P[Bin(b + c, ½) = min(b, c)]."""
    if only_first < 0 or only_second < 0:
        raise ValueError(f"{only_first} and {only_second} are no counts")
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, count) for count in range(fewer + 1))
    return Fraction(tail, 2**n), Fraction(math.comb(n, fewer), 2**n)


def fewest_flips(alpha: float = 0.05) -> int:
    """How many items must differ, all in one direction, before the exact McNemar p is below `alpha`."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"{alpha} is no level of significance")
    flips = 1
    while mcnemar_exact(flips, 0) >= alpha:
        flips += 1
    return flips


def smallest_visible_difference(n: int, alpha: float = 0.05) -> float | None:
    """The smallest difference of two rates that n shared items can show at all; None where they can show none.

    It takes every flip to go one way: with flips both ways, more is needed.
    """
    flips = fewest_flips(alpha)
    return flips / n if flips <= n else None


def wald_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95
) -> Difference | None:
    """The difference of two rates on the same items ± z·SE; None of no items.

    Undercovers below some fifty items and is a point where the two never differ: `newcombe_difference` is neither.
    """
    n = _items(both, only_first, only_second, neither)
    if n == 0:
        return None
    value = (only_first - only_second) / n
    error = math.sqrt(only_first + only_second - (only_first - only_second) ** 2 / n) / n
    half = normal_quantile(0.5 + confidence / 2.0) * error
    return Difference(value, Interval(max(-1.0, value - half), min(1.0, value + half)), error)


def newcombe_difference(
    both: int, only_first: int, only_second: int, neither: int, confidence: float = 0.95
) -> Difference | None:
    """The difference of two rates on the same items with Newcombe's interval 10; None of no items.

    Joins Wilson's intervals of both rates, narrowed by their correlation. It can leave out 0 where the exact p is above
    0.05, and the other way round: the p is the test, so show it beside.
    """
    n = _items(both, only_first, only_second, neither)
    if n == 0:
        return None
    first, second = both + only_first, both + only_second
    value = (only_first - only_second) / n
    phi = newcombe_phi(both, only_first, only_second, neither)
    first_interval, second_interval = wilson(first, n, confidence), wilson(second, n, confidence)
    assert first_interval is not None  # n > 0
    assert second_interval is not None
    low = _joined(first / n - first_interval.low, second_interval.high - second / n, phi)
    high = _joined(first_interval.high - first / n, second / n - second_interval.low, phi)
    return Difference(value, Interval(max(-1.0, value - low), min(1.0, value + high)), None)


def newcombe_phi(both: int, only_first: int, only_second: int, neither: int) -> float:
    """The correlation of two verdicts on the same item, 0 where one is constant.

    Where it is positive, n/2 is taken off the difference of products before it is scaled, but not beyond 0.
    """
    n = _items(both, only_first, only_second, neither)
    first, second = both + only_first, both + only_second
    scale = first * (n - first) * second * (n - second)
    if scale == 0:
        return 0.0
    product = both * neither - only_first * only_second
    return (max(product - n / 2.0, 0.0) if product > 0 else product) / math.sqrt(scale)


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2.0 * phi * one * other + other * other))


def _items(*counts: int) -> int:
    if min(counts) < 0:
        raise ValueError(f"{min(counts)} is no count")
    return sum(counts)


def paired_error(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Standard error of the mean difference of two scores of the same items; None below two items."""
    return standard_error([a - b for a, b in zip(first, second, strict=True)])


def unpaired_error(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Standard error of the difference of two means of different items; None below two items on a side.

    For the same items it is too large where the scores go together, as they mostly do: `paired_error` is theirs.
    """
    errors = (standard_error(first), standard_error(second))
    return None if errors[0] is None or errors[1] is None else math.hypot(errors[0], errors[1])


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation; None where one side does not vary."""
    centres = (mean(first), mean(second))
    if centres[0] is None or centres[1] is None or not standard_error(first) or not standard_error(second):
        return None
    pairs = [(a - centres[0], b - centres[1]) for a, b in zip(first, second, strict=True)]
    product = math.fsum(a * b for a, b in pairs)
    scale = math.sqrt(math.fsum(a * a for a, _ in pairs) * math.fsum(b * b for _, b in pairs))
    return max(-1.0, min(1.0, product / scale))


def sign_flip_p(differences: Sequence[float], resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p that paired differences lie around 0: how often does flipping signs give a sum as far from 0?

    Exact for up to 16 differences other than 0, and for any number that take few distinct sizes: of pairs of verdicts
    it is McNemar's exact p. Else from seeded draws, of which what was seen counts as one. 1 where nothing differs. It
    takes a difference to be as likely as its opposite, which holds where both sides are treated alike.
    """
    sizes = sorted(abs(difference) for difference in differences if difference)
    bound = abs(math.fsum(differences)) - _ROUNDING * math.fsum(sizes)
    exact = _exact_flip_p(sizes, bound)
    if exact is not None:
        return exact
    draw = Random(seed).random  # the one method that promises the same numbers everywhere
    seen = 1
    for _ in range(resamples):
        seen += abs(math.fsum(size if draw() < 0.5 else -size for size in sizes)) >= bound
    return seen / (resamples + 1)


def _exact_flip_p(sizes: Sequence[float], bound: float) -> float | None:
    """The share of choices of signs whose sum is `bound` from 0 or more; None where the sums are too many to list."""
    scale = max((Fraction(size).denominator for size in sizes), default=1)  # a power of two: whole numbers are faster
    sums = {0: 1}
    for size, times in Counter(int(Fraction(size) * scale) for size in sizes).items():
        if len(sums) * (times + 1) > _EXACT:
            return None
        longer: Counter[int] = Counter()
        for up in range(times + 1):
            step, ways = size * (2 * up - times), math.comb(times, up)
            for total, before in sums.items():
                longer[total + step] += before * ways
        sums = dict(longer)
    limit = Fraction(bound) * scale
    return float(Fraction(sum(times for total, times in sums.items() if abs(total) >= limit), 2 ** len(sizes)))
