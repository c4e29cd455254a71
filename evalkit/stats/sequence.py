"""What a training set is made of and in which order, and whether that goes with how its categories score.

Composition and order describe the whole file: they are counted, not estimated, and have no interval. Sources: Wald and
Wolfowitz 1940 for the runs test, Barton and David 1957 for more than two categories.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from random import Random
from typing import NamedTuple

from evalkit.stats.ranking import mann_whitney_p, spearman

_LEVEL = 0.05
_SHORT = 100
_SHUFFLES = 10_000


class Share(NamedTuple):
    """How many examples a category has, and which share of all."""

    label: str
    n: int
    share: float


class Place(NamedTuple):
    """Where the examples of one category stand in a file.

    `mean_position` goes from 0 (the start) to 1; `parts` has the category's share in each tenth, None where the file is
    so short that the tenth is empty; `recency` is its share in the last tenth over that in the whole file; `position_p`
    is the two-sided p that its examples stand neither early nor late (Mann and Whitney), None of a single category.
    """

    label: str
    n: int
    mean_position: float
    parts: tuple[float | None, ...]
    recency: float
    longest_run: int
    position_p: float | None


class Runs(NamedTuple):
    """Runs of equal categories against those of a shuffled file: fewer are blocks, more are alternation.

    `p` is two-sided, from seeded shuffles up to 100 examples (of which what was seen counts as one), else normal. None
    where every order has as many runs.
    """

    runs: int
    expected: float
    p: float | None


class Order(NamedTuple):
    """The order of a file of `n` examples."""

    n: int
    places: tuple[Place, ...]
    runs: Runs


class Association(NamedTuple):
    """Spearman's correlation over `n` categories, with its two-sided p.

    `too_few` says that no order of these values could have given p < 0.05. `left_out` counts the categories that only
    one side knows.
    """

    value: float | None
    p: float | None
    n: int
    exact: bool
    too_few: bool
    left_out: int


def composition(labels: Sequence[str]) -> tuple[Share, ...]:
    """The categories of a file with their counts, the largest first."""
    counts = sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Share(label, count, count / len(labels)) for label, count in counts)


def order(labels: Sequence[str], parts: int = 10) -> Order | None:
    """Where each category stands among the labels of a file, the largest first; None of an empty file."""
    if parts < 1:
        raise ValueError(f"a file has no {parts} parts")
    if not labels:
        return None
    cut = [labels[part * len(labels) // parts : (part + 1) * len(labels) // parts] for part in range(parts)]
    counted = [Counter(part) for part in cut]
    longest: Counter[str] = Counter()
    for label, run in groupby(labels):
        longest[label] = max(longest[label], sum(1 for _ in run))
    positions: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        positions.setdefault(label, []).append(position)
    places = []
    for label, count, share in composition(labels):
        shares = tuple(
            found[label] / len(part) if part else None for found, part in zip(counted, cut, strict=True)
        )  # the last part is never empty
        middle = (sum(positions[label]) / count + 0.5) / len(labels)
        p = mann_whitney_p(range(len(labels)), [other == label for other in labels])
        places.append(Place(label, count, middle, shares, (shares[-1] or 0.0) / share, longest[label], p))
    return Order(len(labels), tuple(places), runs_test(labels))


def runs_test(labels: Sequence[str], shuffles: int = _SHUFFLES, seed: int = 0) -> Runs:
    """Is a file shuffled? Slow drift it hardly sees: for that there is the position of each category."""
    n, sizes = len(labels), list(Counter(labels).values())
    found = _runs(labels)
    squares = sum(size**2 for size in sizes)
    expected = Fraction(n * (n + 1) - squares, n) if n else Fraction(0)
    if len(sizes) < 2 or max(sizes) == 1:
        return Runs(found, float(expected), None)
    if n <= _SHORT:
        return Runs(found, float(expected), _shuffled_p(labels, abs(found - expected), shuffles, seed))
    cubes = sum(size**3 for size in sizes)
    variance = Fraction(squares * (squares + n * (n + 1)) - 2 * n * cubes - n**3, n * n * (n - 1))
    return Runs(found, float(expected), math.erfc(abs(found - expected) / math.sqrt(2 * variance)))


def association(by_category: Mapping[str, float], scores: Mapping[str, float]) -> Association:
    """Does a figure of each category in the training set (its share, its mean position) go with the category's score?

    Over the categories that both know. A correlation over categories is no cause: they differ in more than this.
    """
    both = sorted(by_category.keys() & scores.keys())
    found = spearman([by_category[label] for label in both], [scores[label] for label in both])
    too_few = found.value is None or (found.smallest_p is not None and found.smallest_p >= _LEVEL)
    left_out = len(by_category.keys() ^ scores.keys())
    return Association(found.value, found.p, found.n, found.exact, too_few, left_out)


def _runs(labels: Sequence[str]) -> int:
    return sum(a != b for a, b in pairwise(labels)) + bool(labels)


def _shuffled_p(labels: Sequence[str], distance: Fraction, shuffles: int, seed: int) -> float:
    """How often a shuffled file is as far from its expected runs."""
    draw = Random(seed).random  # the one method that promises the same numbers everywhere
    deck, n = sorted(labels), len(labels)
    squares = sum(size**2 for size in Counter(labels).values())
    seen = 1
    for _ in range(shuffles):
        for place in range(n - 1):
            other = place + int(draw() * (n - place))
            deck[place], deck[other] = deck[other], deck[place]
        seen += abs(n * _runs(deck) - n * (n + 1) + squares) >= n * distance
    return seen / (shuffles + 1)
