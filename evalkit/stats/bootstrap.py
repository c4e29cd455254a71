"""The percentile bootstrap over items (Efron 1979): what would the number have been with other items like these?

The items must be independent: several answers to one item enter as their mean, the items of one cluster as one pair of
`ratio_interval`. It knows only outcomes that happened, so it undercovers where they are few, and is a point where no
item differs; of a mean, `intervals.estimate` is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TypeVar

from evalkit.stats.intervals import Interval

_Item = TypeVar("_Item")
RESAMPLES = 10_000


def percentile_interval(
    items: Sequence[_Item],
    statistic: Callable[[Sequence[_Item]], float | None],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of any statistic of a list of items; None below two items.

    Resamples of which the statistic is None are left out; None as well where they are more than half.
    """
    if len(items) < 2:
        return None
    drawn = (statistic([items[place] for place in places]) for places in _places(len(items), resamples, seed))
    known = sorted(value for value in drawn if value is not None)
    return _middle(known, confidence) if 2 * len(known) > resamples else None


def mean_interval(
    values: Sequence[float], confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval of the mean of one value per item; None below two items."""

    def mean(drawn: Sequence[float]) -> float:
        return math.fsum(drawn) / len(drawn)

    return percentile_interval(sorted(values), mean, confidence, resamples, seed)


def ratio_interval(
    parts: Sequence[tuple[float, float]], confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval of Σ numerators / Σ denominators, drawing pairs; None below two pairs.

    With (sum of scores, number of items) of each cluster it is the bootstrap over clusters.
    """

    def ratio(drawn: Sequence[tuple[float, float]]) -> float | None:
        below = math.fsum(denominator for _, denominator in drawn)
        return math.fsum(numerator for numerator, _ in drawn) / below if below else None

    return percentile_interval(sorted(parts), ratio, confidence, resamples, seed)


def _places(n: int, resamples: int, seed: int) -> Iterator[list[int]]:
    # Of all methods, only random() promises the same numbers on each platform and in each version of Python.
    draw = Random(seed).random
    for _ in range(resamples):
        yield [int(draw() * n) for _ in range(n)]


def _middle(ordered: Sequence[float], confidence: float) -> Interval:
    tail = (1.0 - confidence) / 2.0
    return Interval(_quantile(ordered, tail), _quantile(ordered, 1.0 - tail))


def _quantile(ordered: Sequence[float], p: float) -> float:
    """Hyndman and Fan's seventh definition, which is numpy's."""
    place = p * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
