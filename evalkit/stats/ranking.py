"""Does a score rank what passes above what fails?

The AUC is the chance that a pass has the higher score than a fail, ties counted half: .5 is a score that knows nothing.
Pooled over items it is high already where the score knows easy items from hard ones; whether it can choose among
answers to one item is the AUC within items. Sources: Mann and Whitney 1947; DeLong, DeLong and Clarke-Pearson 1988;
Hanley and McNeil 1982 and Newcombe 2006 (Statistics in Medicine 25:559) where DeLong's error is 0; Spearman 1904.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from evalkit.stats.bootstrap import RESAMPLES, ratio_interval
from evalkit.stats.distributions import beta_cdf
from evalkit.stats.intervals import Interval, normal_quantile, standard_error
from evalkit.stats.paired import correlation

Group = Sequence[tuple[float, bool]]  # the answers to one item: score, passed
_EXACT_STEPS = 1_000_000
_EXACT_RANKS = 9


class AucEstimate(NamedTuple):
    """A pooled AUC with DeLong's standard error and the interval."""

    value: float
    se: float
    interval: Interval


class WithinAuc(NamedTuple):
    """An AUC over pairs of a pass and a fail of one group; `value` is None where no group is mixed."""

    value: float | None
    pairs: int
    mixed: int
    groups: int


class RankCorrelation(NamedTuple):
    """Spearman's coefficient over `n` pairs and its two-sided p; both None where one side does not vary.

    `smallest_p` is what the clearest order of these values would give, known where p is exact. With few or tied values
    it can be above any level that one cares for, and then p says nothing.
    """

    value: float | None
    p: float | None
    n: int
    exact: bool
    smallest_p: float | None


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The pooled AUC; None without a pass or without a fail."""
    twice, pairs = _wins(list(zip(scores, labels, strict=True)))
    return twice / (2 * pairs) if pairs else None


def auc_interval(scores: Sequence[float], labels: Sequence[bool], confidence: float = 0.95) -> AucEstimate | None:
    """The pooled AUC ± z · DeLong's SE, within [0, 1]; None below two passes or two fails.

    Undercovers where either are few or the AUC is near 1. Where the SE is 0 (scores that separate perfectly, or are all
    equal) the interval is Newcombe's, which is no point.
    """
    passes, fails = _split(zip(scores, labels, strict=True))
    if min(len(passes), len(fails)) < 2:
        return None
    value = _twice_wins(passes, fails) / (2 * len(passes) * len(fails))
    of_passes = [_twice_wins([score], fails) / (2 * len(fails)) for score in passes]
    of_fails = [_twice_wins(passes, [score]) / (2 * len(passes)) for score in fails]
    error = math.hypot(standard_error(of_passes) or 0.0, standard_error(of_fails) or 0.0)
    z = normal_quantile(0.5 + confidence / 2.0)
    if not error:
        return AucEstimate(value, error, _score_interval(value, len(passes), len(fails), z))
    return AucEstimate(value, error, Interval(max(0.0, value - z * error), min(1.0, value + z * error)))


def within_auc(groups: Sequence[Group]) -> WithinAuc:
    """The AUC over pairs of a pass and a fail of the same group, each pair counted once.

    Groups that all pass or all fail hold no pair and say nothing: without another the value is None, never .5.
    """
    counts = _mixed(groups)
    pairs = sum(found for _, found in counts)
    value = sum(twice for twice, _ in counts) / (2 * pairs) if pairs else None
    return WithinAuc(value, pairs, len(counts), len(groups))


def within_auc_interval(
    groups: Sequence[Group], confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The percentile bootstrap over mixed groups; None below two of them.

    Undercovers below some twenty mixed groups, and is a point where every pair is right: read the permutation p beside.
    """
    parts = [(twice / 2.0, float(pairs)) for twice, pairs in _mixed(groups)]
    return ratio_interval(parts, confidence, resamples, seed)


def within_auc_permutation_p(groups: Sequence[Group], resamples: int = RESAMPLES, seed: int = 0) -> float | None:
    """Two-sided p that the score knows nothing: how often is the AUC as far from .5 when passes are dealt out anew?

    Within each group every choice of who passed is equally likely. Exact where all choices can be counted, which holds
    for many groups of a few answers; else from seeded draws, of which what was seen counts as one. None where no group
    is mixed.
    """
    counts = _mixed(groups)
    if not counts:
        return None
    pairs = sum(found for _, found in counts)
    distance = abs(sum(twice for twice, _ in counts) - pairs)
    shapes = Counter(_shape(group) for group in groups if _wins(group)[1])
    if sum(_steps(*shape) * times for shape, times in shapes.items()) + len(counts) * pairs * 8 > _EXACT_STEPS:
        return _sampled_p(shapes, pairs, distance, Random(seed).random, resamples)
    total = {0: 1}
    for shape, times in shapes.items():
        for _ in range(times):
            total = _sum_of(total, _distribution(*shape))
    return _beyond(total, pairs, distance)


def spearman(x: Sequence[float], y: Sequence[float]) -> RankCorrelation:
    """Spearman's rank correlation, ties given their mean rank, and its two-sided p.

    Up to nine pairs p is exact, over all orders of one side: four pairs, of 24 orders, never give p < 0.05. Above, it
    is from Student's t, which is close unless most values are tied.
    """
    n = len(x)
    first, second = _doubled_ranks(x), _doubled_ranks(y)
    value = correlation(first, second)
    if value is None:
        return RankCorrelation(None, None, n, exact=n <= _EXACT_RANKS, smallest_p=None)
    if n <= _EXACT_RANKS:
        p, smallest = _exact_rank_ps(tuple(first), tuple(second))
        return RankCorrelation(value, p, n, exact=True, smallest_p=smallest)
    p = beta_cdf(1.0 - value * value, (n - 2) / 2.0, 0.5)
    p = max(p, 2.0 * math.exp(-math.lgamma(n + 1)))  # no order has a smaller one
    return RankCorrelation(value, p, n, exact=False, smallest_p=None)


def point_biserial(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Pearson's correlation of a score with passing; None where either does not vary."""
    return correlation(scores, [float(label) for label in labels])


def mann_whitney_p(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Two-sided p that passes and fails have equally high scores; None without a pass or without a fail.

    Exact for small numbers, with ties as well; else the normal approximation with the corrections for ties and
    continuity. It takes the scores to be independent, which answers to one item are not: `within_auc_permutation_p` is
    for those.
    """
    group = list(zip(scores, labels, strict=True))
    twice, pairs = _wins(group)
    if not pairs:
        return None
    blocks, passes = _shape(group)
    if _steps(blocks, passes) <= _EXACT_STEPS:
        return _beyond(_distribution(blocks, passes), pairs, abs(twice - pairs))
    n = len(group)
    ties = sum(block**3 - block for block in blocks)
    deviation = math.sqrt(pairs / 12.0 * (n + 1 - ties / (n * (n - 1))))
    if not deviation:
        return 1.0
    return math.erfc(max(0.0, abs(twice - pairs) / 2.0 - 0.5) / deviation / math.sqrt(2.0))


# What the AUC counts


def _split(pairs: Iterable[tuple[float, bool]]) -> tuple[list[float], list[float]]:
    """The scores of passes and of fails, each in order."""
    passes: list[float] = []
    fails: list[float] = []
    for score, passed in pairs:
        (passes if passed else fails).append(score)
    return sorted(passes), sorted(fails)


def _twice_wins(passes: Sequence[float], fails: Sequence[float]) -> int:
    """Twice the number of pairs where the pass is above, plus the number of ties. Both lists are in order."""
    if len(passes) < len(fails):
        return sum(bisect_left(fails, score) + bisect_right(fails, score) for score in passes)
    return 2 * len(passes) * len(fails) - sum(bisect_left(passes, s) + bisect_right(passes, s) for s in fails)


def _wins(group: Iterable[tuple[float, bool]]) -> tuple[int, int]:
    """Twice the pairs won, and the pairs."""
    passes, fails = _split(group)
    return _twice_wins(passes, fails), len(passes) * len(fails)


def _mixed(groups: Iterable[Group]) -> list[tuple[int, int]]:
    return [(twice, pairs) for twice, pairs in map(_wins, groups) if pairs]


def _score_interval(value: float, passes: int, fails: int, z: float) -> Interval:
    """Newcombe's method 5: the AUCs from which `value` is not further than z of their own standard errors."""
    more = (passes + fails) / 2.0 - 1.0

    def far(other: float) -> bool:
        spread = other * (1.0 - other) * (1.0 + more * ((1.0 - other) / (2.0 - other) + other / (1.0 + other)))
        return abs(value - other) > z * math.sqrt(spread / (passes * fails))

    return Interval(_border(0.0, value, far), _border(1.0, value, far))


def _border(outside: float, inside: float, far: Callable[[float], bool]) -> float:
    if not far(outside):
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2.0
        if far(middle):
            outside = middle
        else:
            inside = middle
    return inside


# Every way to deal out passes


def _shape(group: Group) -> tuple[tuple[int, ...], int]:
    """How many answers have each score, from the lowest, and how many answers pass: all that permuting looks at."""
    scores = Counter(score for score, _ in group)
    return tuple(scores[score] for score in sorted(scores)), sum(passed for _, passed in group)


def _steps(blocks: tuple[int, ...], passes: int) -> int:
    """About the work of `_distribution`."""
    n = sum(blocks)
    return 2 * passes * (n - passes) * min(passes, n - passes) * n


@lru_cache(maxsize=1024)
def _distribution(blocks: tuple[int, ...], passes: int) -> dict[int, int]:
    """In how many choices of who passes each number of `_twice_wins` comes up, one score after another."""
    fails, seen = sum(blocks) - passes, 0
    ways: dict[tuple[int, int], int] = {(0, 0): 1}
    for block in blocks:
        longer: Counter[tuple[int, int]] = Counter()
        for (passed, twice), times in ways.items():
            failed = seen - passed
            for here in range(max(0, block - (fails - failed)), min(block, passes - passed) + 1):
                won = twice + here * (2 * failed + block - here)
                longer[passed + here, won] += times * math.comb(block, here)
        ways, seen = dict(longer), seen + block
    return {twice: times for (_, twice), times in ways.items()}


def _sum_of(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    total: Counter[int] = Counter()
    for a, times in first.items():
        for b, more in second.items():
            total[a + b] += times * more
    return dict(total)


def _beyond(ways: dict[int, int], pairs: int, distance: int) -> float:
    """The share of choices as far as `distance` from half of all pairs."""
    hits = sum(times for twice, times in ways.items() if abs(twice - pairs) >= distance)
    return float(Fraction(hits, sum(ways.values())))


def _sampled_p(
    shapes: Counter[tuple[tuple[int, ...], int]], pairs: int, distance: int, draw: Callable[[], float], resamples: int
) -> float:
    dealers = [dealer for shape, times in shapes.items() for dealer in [_dealer(*shape, draw)] * times]
    seen = sum(abs(sum(deal() for deal in dealers) - pairs) >= distance for _ in range(resamples))
    return (seen + 1) / (resamples + 1)


def _dealer(blocks: tuple[int, ...], passes: int, draw: Callable[[], float]) -> Callable[[], int]:
    """Draws of `_twice_wins`: from its distribution, or by dealing out passes where that is too much to list."""
    if _steps(blocks, passes) <= _EXACT_STEPS:
        ways = sorted(_distribution(blocks, passes).items())
        total = sum(times for _, times in ways)
        bounds = [count / total for count in accumulate(times for _, times in ways)]
        return lambda: ways[min(bisect_right(bounds, draw()), len(ways) - 1)][0]
    deck = [rank for rank, block in enumerate(blocks) for _ in range(block)]

    def deal() -> int:
        for place in range(passes):  # the first steps of Fisher and Yates
            other = place + int(draw() * (len(deck) - place))
            deck[place], deck[other] = deck[other], deck[place]
        return _twice_wins(sorted(deck[:passes]), sorted(deck[passes:]))

    return deal


# Ranks


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Twice the mean rank of each value: whole numbers."""
    ordered = sorted(values)
    return [bisect_left(ordered, value) + bisect_right(ordered, value) + 1 for value in values]


def _exact_rank_ps(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[float, float]:
    """Over all orders of the second ranks: the share as far from 0 as these, and the share that is farthest."""
    expected = len(first) * (len(first) + 1) ** 2  # of doubled ranks
    distances: Counter[int] = Counter()
    for total, times in _rank_sums(first, second).items():
        distances[abs(total - expected)] += times
    orders = math.factorial(len(first))
    seen = abs(sum(a * b for a, b in zip(first, second, strict=True)) - expected)
    hits = sum(times for distance, times in distances.items() if distance >= seen)
    return float(Fraction(hits, orders)), float(Fraction(distances[max(distances)], orders))


@lru_cache(maxsize=1024)
def _rank_sums(first: tuple[int, ...], second: tuple[int, ...]) -> dict[int, int]:
    """In how many orders of the second ranks each sum of products comes up.

    Built up one rank at a time, keeping for each set of used places how often each sum comes up.
    """
    ways: dict[int, Counter[int]] = {0: Counter({0: 1})}
    for rank in first:
        longer: dict[int, Counter[int]] = {}
        for used, sums in ways.items():
            for place, other in enumerate(second):
                if not used >> place & 1:
                    here = longer.setdefault(used | 1 << place, Counter())
                    for total, times in sums.items():
                        here[total + rank * other] += times
        ways = longer
    (whole,) = ways.values()
    return whole
