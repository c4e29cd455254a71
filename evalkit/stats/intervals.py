"""One score and how far it can be trusted.

Sources: Wilson 1927; Clopper and Pearson 1934; Miller 2024 (arXiv 2411.00640) for answers within items and clusters.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from evalkit.stats.distributions import beta_quantile, t_quantile

Method = Literal["wilson", "mean_se", "clustered_se", "strata_se"]
_SAME = 1e-12
_FEW_CLUSTERS = 40


class Interval(NamedTuple):
    """Both ends of a two-sided confidence interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean over `n` units with its interval and the method that gave it. `se` is None where n is 1."""

    value: float
    interval: Interval
    se: float | None
    n: int
    method: Method


@lru_cache
def normal_quantile(p: float) -> float:
    """The quantile of the standard normal distribution."""
    from statistics import NormalDist  # here: a command that computes no interval starts faster without it

    return NormalDist().inv_cdf(p)


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval of a share; None when n is 0.

    `successes` may be a sum of scores in [0, 1]: no such score varies more than a yes or no of the same mean, so the
    interval is then wide enough, never too narrow.
    """
    if n == 0:
        return None
    z = normal_quantile(0.5 + confidence / 2.0)
    share = successes / n
    shrink = 1.0 + z * z / n
    centre = (share + z * z / (2.0 * n)) / shrink
    half = z / shrink * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return Interval(low, high)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The exact interval of a share: never covers less than it says, usually more. None when n is 0."""
    if n == 0:
        return None
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, n - successes + 1)
    high = 1.0 if successes == n else beta_quantile(1.0 - tail, successes + 1, n - successes)
    return Interval(low, high)


def mean(values: Sequence[float]) -> float | None:
    """The mean, the same for any order of the values; None of nothing."""
    return math.fsum(values) / len(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of the mean; None below two values."""
    centre = mean(values)
    if centre is None or len(values) < 2:
        return None
    if max(values) - min(values) < _SAME:  # equal but for the last digit, in which their mean may differ from them
        return 0.0
    squares = math.fsum((value - centre) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))


def item_means(answers: Iterable[Sequence[float]]) -> list[float]:
    """The scores of k answers to each item → one mean per item. Items without a score are left out.

    The k answers to one item are not independent: only these means may enter `standard_error` or `estimate`.
    """
    return [math.fsum(scores) / len(scores) for scores in answers if scores]


def clustered_error(values: Sequence[float], clusters: Sequence[Hashable], *, corrected: bool = True) -> float | None:
    """Standard error of the mean of values that come in clusters (subjects, passages, templates).

    `corrected` multiplies the variance by G/(G-1) for G clusters. None below two clusters.
    """
    centre = mean(values)
    if centre is None:
        return None
    residuals: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        residuals.setdefault(cluster, []).append(value - centre)
    count = len(residuals)
    if count < 2:
        return None
    if max(values) - min(values) < _SAME:  # as in `standard_error`
        return 0.0
    variance = math.fsum(math.fsum(members) ** 2 for members in residuals.values()) / len(values) ** 2
    return math.sqrt(variance * count / (count - 1) if corrected else variance)


def estimate(scores: Sequence[float], confidence: float = 0.95) -> Estimate | None:
    """Mean of one score in [0, 1] per item, with the interval that fits the scores; None of nothing.

    Scores that are all 0 or 1 get Wilson's interval, others mean ± t·SE within [0, 1]. Where the others do not differ
    at all, their spread says nothing about the next item, and Wilson's interval is the safe one.
    """
    value = mean(scores)
    if value is None:
        return None
    n, error = len(scores), standard_error(scores)
    if not error or all(score in (0.0, 1.0) for score in scores):
        interval = wilson(math.fsum(scores), n, confidence)
        assert interval is not None  # n > 0
        return Estimate(value, interval, error, n, "wilson")
    return Estimate(value, _around(value, error, t_quantile(0.5 + confidence / 2.0, n - 1)), error, n, "mean_se")


def clustered_estimate(
    scores: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95
) -> Estimate | None:
    """Like `estimate`, for items that come in clusters: t with G-1 degrees of freedom below 40 clusters, else normal.

    None below two clusters: one cluster says nothing about the next. Where the clusters do not differ at all, the safe
    interval is Wilson's of as many yes or no as there are clusters, for only they are independent. Undercovers where
    few clusters hold most of the items.
    """
    value, error = mean(scores), clustered_error(scores, clusters)
    if value is None or error is None:
        return None
    count = len(set(clusters))
    if error < _SAME:
        interval = wilson(value * count, count, confidence)
        assert interval is not None  # there are clusters
        return Estimate(value, interval, error, len(scores), "wilson")
    tail = 0.5 + confidence / 2.0
    times = t_quantile(tail, count - 1) if count < _FEW_CLUSTERS else normal_quantile(tail)
    return Estimate(value, _around(value, error, times), error, len(scores), "clustered_se")


def _around(value: float, error: float, times: float) -> Interval:
    return Interval(max(0.0, value - times * error), min(1.0, value + times * error))
