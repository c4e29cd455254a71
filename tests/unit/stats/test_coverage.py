"""How often each 95 % interval holds the truth: what the docstrings and docs/statistics.md say of it.

Each figure is simulated with a seed, so it is the same each time. The bands are three standard errors of the
simulation. Where a method undercovers, the test says by how much, so that a change for the better is seen too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
from scipy.stats import binom, norm

from evalkit.stats.bootstrap import mean_interval, ratio_interval
from evalkit.stats.intervals import Interval, clopper_pearson, clustered_estimate, estimate, wilson
from evalkit.stats.judging import Tally, score, sign_p
from evalkit.stats.paired import newcombe_difference, wald_difference
from evalkit.stats.power import detectable_difference
from evalkit.stats.ranking import auc_interval, within_auc_interval
from evalkit.stats.strata import macro_estimate

Draw = Callable[[Random], Interval | None]


def coverage(draw: Draw, truth: float, times: int) -> float:
    """The share of `times` intervals that hold the truth, of those that exist."""
    random = Random(11)
    drawn = [interval for interval in (draw(random) for _ in range(times)) if interval is not None]
    assert len(drawn) > 0.9 * times
    return sum(interval.low <= truth <= interval.high for interval in drawn) / len(drawn)


def band(expected: float, times: int) -> float:
    """Three standard errors of a share, and half a point for what the expectation itself was rounded to."""
    return 3 * math.sqrt(expected * (1 - expected) / times) + 0.005


def test_yes_or_no_exactly() -> None:
    """No simulation: on average over rates Wilson holds 95 %, Clopper and Pearson never less; ± 1.96 SE far less."""
    rates = [percent / 100 for percent in range(1, 100)]
    for n, wilson_least, wald_least in ((18, 0.900, 0.165), (50, 0.911, 0.395), (200, 0.933, 0.865)):
        held: dict[str, list[float]] = {"wilson": [], "exact": [], "wald": []}
        intervals = {
            "wilson": [wilson(k, n) for k in range(n + 1)],
            "exact": [clopper_pearson(k, n) for k in range(n + 1)],
            "wald": [_wald(k, n) for k in range(n + 1)],
        }
        for rate in rates:
            for name, found in intervals.items():
                inside = [k for k, interval in enumerate(found) if interval and interval.low <= rate <= interval.high]
                held[name].append(float(binom.pmf(inside, n, rate).sum()))
        assert sum(held["wilson"]) / 99 == pytest.approx(0.952, abs=0.005)
        assert min(held["exact"]) >= 0.95
        assert min(held["wilson"]) == pytest.approx(wilson_least, abs=0.001)
        assert min(held["wald"]) == pytest.approx(wald_least, abs=0.001)


def _wald(k: int, n: int) -> Interval:
    half = 1.96 * math.sqrt(k / n * (1 - k / n) / n)
    return Interval(k / n - half, k / n + half)


@pytest.mark.parametrize(
    ("n", "even", "skewed"), [(5, 0.93, 0.87), (10, 0.94, 0.90), (20, 0.945, 0.92), (50, 0.95, 0.94)]
)
def test_shares_of_items(n: int, even: float, skewed: float) -> None:
    """mean_se: right for scores spread evenly, too narrow for few scores near 1."""
    times = 1500
    found = coverage(lambda random: _interval([random.betavariate(0.5, 0.5) for _ in range(n)]), 0.5, times)
    assert found == pytest.approx(even, abs=band(even, times))
    found = coverage(lambda random: _interval([random.betavariate(4, 0.5) for _ in range(n)]), 8 / 9, times)
    assert found == pytest.approx(skewed, abs=band(skewed, times))


@pytest.mark.parametrize(
    ("n", "wins", "ties", "held"),
    [(20, 0.06, 0.7, 0.95), (20, 0.66, 0.2, 0.94), (50, 0.06, 0.7, 0.95), (50, 0.48, 0.2, 0.95), (50, 0.9, 0.0, 0.97)],
)
def test_verdicts(n: int, wins: float, ties: float, held: float) -> None:
    """The score of wins, halves and losses."""
    times = 1500
    found = coverage(lambda random: _judged(random, n, wins, ties), wins + ties / 2, times)
    assert found == pytest.approx(held, abs=band(held, times))


def _judged(random: Random, n: int, wins: float, ties: float) -> Interval | None:
    draws = [random.random() for _ in range(n)]
    won, tied = sum(draw < wins for draw in draws), sum(wins <= draw < wins + ties for draw in draws)
    found = score(Tally(won, n - won - tied, tied))
    return found and found.interval


@pytest.mark.parametrize(("n", "discordance", "reached"), [(50, 0.8, 0.759), (100, 0.3, 0.757), (200, 0.8, 0.778)])
def test_what_is_detectable_by_the_exact_test(n: int, discordance: float, reached: float) -> None:
    """No simulation: the formula aims at .8, and the exact test errs on the safe side."""
    difference = detectable_difference(n, discordance)
    assert difference is not None
    share = (1 + difference / discordance) / 2
    power = sum(
        binom.pmf(decided, n, discordance) * sum(binom.pmf(won, decided, share) for won in _significant(decided))
        for decided in range(n + 1)
    )
    assert power == pytest.approx(reached, abs=0.001)


def _significant(decided: int) -> list[int]:
    return [won for won in range(decided + 1) if sign_p(won, decided - won) < 0.05]


def _interval(scores: list[float]) -> Interval | None:
    found = estimate(scores)
    return found and found.interval


def _clusters(random: Random, sizes: list[int], alike: float) -> Interval | None:
    """Each cluster has a rate of its own around one half."""
    scores, clusters = [], []
    for cluster, size in enumerate(sizes):
        rate = random.betavariate(alike, alike)
        scores += [float(random.random() < rate) for _ in range(size)]
        clusters += [cluster] * size
    found = clustered_estimate(scores, clusters)
    return found and found.interval


@pytest.mark.parametrize(
    ("sizes", "held"),
    [
        ([5] * 3, 0.97),
        ([5] * 5, 0.94),
        ([5] * 10, 0.93),
        ([5] * 50, 0.945),
        ([50] + [5] * 4, 0.75),
        ([50] + [5] * 19, 0.87),
    ],
)
def test_clusters(sizes: list[int], held: float) -> None:
    """clustered_se: right for clusters alike in size, far too narrow where one of them holds half of the items."""
    times = 800
    found = coverage(lambda random: _clusters(random, sizes, 2.0), 0.5, times)
    assert found == pytest.approx(held, abs=band(held, times))
    if len(set(sizes)) == 1 and len(sizes) > 3:  # items taken as independent hold far less
        alone = coverage(lambda random: _clusters_ignored(random, sizes), 0.5, times)
        assert alone < found - 0.05


def _clusters_ignored(random: Random, sizes: list[int]) -> Interval | None:
    scores = []
    for size in sizes:
        rate = random.betavariate(2.0, 2.0)
        scores += [float(random.random() < rate) for _ in range(size)]
    return _interval(scores)


def test_clusters_near_the_end() -> None:
    """At a rate of .9 few clusters often do not differ: Wilson's fallback holds, where a point would not."""
    for count, least in ((3, 0.97), (5, 0.97), (10, 0.93), (20, 0.91)):
        found = coverage(lambda random, count=count: _high_clusters(random, count), 0.9, 800)
        assert found > least


def _high_clusters(random: Random, count: int) -> Interval | None:
    scores, clusters = [], []
    for cluster in range(count):
        rate = random.betavariate(9, 1)
        scores += [float(random.random() < rate) for _ in range(5)]
        clusters += [cluster] * 5
    found = clustered_estimate(scores, clusters)
    return found and found.interval


def test_strata() -> None:
    """strata_se: three subjects of unlike rate and size."""

    def draw(random: Random) -> Interval | None:
        strata = [[float(random.random() < rate) for _ in range(n)] for n, rate in ((40, 0.9), (20, 0.5), (10, 0.3))]
        found = macro_estimate(strata)
        return found and found.interval

    assert coverage(draw, 17 / 30, 1500) == pytest.approx(0.95, abs=band(0.95, 1500))


@pytest.mark.parametrize(
    ("n", "shares", "newcombe", "wald"),
    [
        (10, (0.9, 0.02, 0.06, 0.02), 1.0, 0.56),
        (20, (0.5, 0.1, 0.1, 0.3), 0.97, 0.94),
        (20, (0.9, 0.02, 0.06, 0.02), 0.99, 0.78),
        (50, (0.7, 0.05, 0.15, 0.1), 0.965, 0.94),
        (200, (0.7, 0.05, 0.15, 0.1), 0.95, 0.945),
    ],
)
def test_paired_rates(n: int, shares: tuple[float, ...], newcombe: float, wald: float) -> None:
    """Newcombe's interval never holds too little; Wald's does where flips are few."""
    times, truth = 1500, shares[1] - shares[2]

    def counts(random: Random) -> list[int]:
        drawn = random.choices(range(4), shares, k=n)
        return [drawn.count(cell) for cell in range(4)]

    found = coverage(lambda random: (newcombe_difference(*counts(random)) or _NONE).interval, truth, times)
    assert found == pytest.approx(newcombe, abs=band(newcombe, times))
    found = coverage(lambda random: (wald_difference(*counts(random)) or _NONE).interval, truth, times)
    assert found == pytest.approx(wald, abs=band(wald, times) + 0.01)


class _NONE:
    interval = None


@pytest.mark.parametrize(
    ("passes", "fails", "apart", "held"),
    [
        (30, 30, 0.0, 0.945),
        (10, 10, 0.0, 0.925),
        (14, 4, 0.0, 0.88),
        (30, 30, 1.5, 0.92),
        (30, 30, 2.5, 0.86),
        (50, 10, 2.5, 0.79),
    ],
)
def test_delong(passes: int, fails: int, apart: float, held: float) -> None:
    """Nearly right for thirty and thirty, too narrow for few of either and near an AUC of 1."""
    times = 1000

    def draw(random: Random) -> Interval | None:
        scores = [random.gauss(apart, 1) for _ in range(passes)] + [random.gauss(0, 1) for _ in range(fails)]
        found = auc_interval(scores, [True] * passes + [False] * fails)
        return found and found.interval

    found = coverage(draw, float(norm.cdf(apart / math.sqrt(2))), times)
    assert found == pytest.approx(held, abs=band(held, times) + 0.005)


@pytest.mark.parametrize(("n", "held"), [(5, 0.85), (10, 0.905), (20, 0.93), (40, 0.94)])
def test_bootstrap_of_a_mean(n: int, held: float) -> None:
    """Too narrow for few items, always: it has no t."""
    times = 500

    def draw(random: Random) -> Interval | None:
        scores = [random.betavariate(0.5, 0.5) for _ in range(n)]
        return mean_interval(scores, resamples=300, seed=random.randrange(2**30))

    assert coverage(draw, 0.5, times) == pytest.approx(held, abs=band(held, times) + 0.01)


def test_bootstrap_of_rare_failures() -> None:
    """Of ten items at a rate of .9, a third of the draws have no failure, and the interval is the point 1."""

    def draw(random: Random) -> Interval | None:
        return ratio_interval(
            [(float(random.random() < 0.9), 1.0) for _ in range(10)], resamples=200, seed=random.randrange(2**30)
        )

    assert coverage(draw, 0.9, 600) == pytest.approx(1 - 0.9**10, abs=band(0.65, 600))


@pytest.mark.parametrize(("groups", "held"), [(10, 0.87), (30, 0.935)])
def test_within_auc(groups: int, held: float) -> None:
    """Groups of five, whose scores differ most between groups: too narrow for ten, nearly right for thirty."""
    times = 300

    def draw(random: Random) -> Interval | None:
        found = []
        for _ in range(groups):
            base, rate = random.gauss(0, 3), random.random()
            passed = [random.random() < rate for _ in range(5)]
            found.append([(base + random.gauss(verdict, 1), verdict) for verdict in passed])
        return within_auc_interval(found, resamples=200, seed=random.randrange(2**30))

    truth = float(norm.cdf(1 / math.sqrt(2)))
    assert coverage(draw, truth, times) == pytest.approx(held, abs=band(held, times) + 0.01)
