"""Intervals of one score: published figures, scipy, laws that any interval obeys, and coverage."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.intervals import (
    Interval,
    clopper_pearson,
    clustered_error,
    clustered_estimate,
    estimate,
    item_means,
    mean,
    standard_error,
    wilson,
)

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
scores = st.lists(st.floats(0, 1), min_size=2, max_size=50)


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [
        (14, 18, (0.5479, 0.9100)),
        (15, 18, (0.6078, 0.9416)),
        (45, 50, (0.7864, 0.9565)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
    ],
)
def test_wilson_figures(successes: int, n: int, expected: tuple[float, float]) -> None:
    """Figures computed by others, to their four digits."""
    assert wilson(successes, n) == pytest.approx(expected, abs=5e-5)


@given(counts)
def test_wilson_against_scipy(count: tuple[int, int]) -> None:
    """The closed form is scipy's."""
    expected = stats.binomtest(*count).proportion_ci(method="wilson")
    assert wilson(*count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(counts)
def test_wilson_laws(count: tuple[int, int]) -> None:
    """In [0, 1], around the share, the same from both sides, and higher with one more success."""
    successes, n = count
    low, high = wilson(successes, n) or (math.nan, math.nan)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    mirrored = wilson(n - successes, n)
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=1e-12)
    if successes < n:
        more = wilson(successes + 1, n)
        assert more is not None
        assert more.low > low or more.low == low == 0.0
        assert more.high > high or more.high == high == 1.0


@given(st.integers(1, 500), st.floats(0, 1), st.integers(2, 5))
def test_wilson_narrows(n: int, share: float, times: int) -> None:
    """More items of the same share give a narrower interval."""
    few, many = wilson(share * n, n), wilson(share * n * times, n * times)
    assert few is not None
    assert many is not None
    assert many.high - many.low < few.high - few.low


def test_clopper_pearson_figure() -> None:
    """14 of 18, to four digits."""
    assert clopper_pearson(14, 18) == pytest.approx((0.5236, 0.9359), abs=5e-5)


@given(counts)
def test_clopper_pearson_against_scipy(count: tuple[int, int]) -> None:
    """The exact interval is scipy's, and holds more than Wilson's at the far side."""
    expected = stats.binomtest(*count).proportion_ci(method="exact")
    assert clopper_pearson(*count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_has_no_interval() -> None:
    """No items, no number; one item or one cluster, no standard error."""
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None
    assert mean([]) is None
    assert estimate([]) is None
    assert standard_error([]) is None
    assert standard_error([1.0]) is None
    assert clustered_error([], []) is None
    assert clustered_estimate([1.0, 0.0], ["a", "a"]) is None


def test_standard_error_figure() -> None:
    """[1, 0, 1, 1, 0]: mean .6, SE .244949."""
    values = [1.0, 0.0, 1.0, 1.0, 0.0]
    assert mean(values) == pytest.approx(0.6)
    assert standard_error(values) == pytest.approx(0.244949, abs=5e-7)


def test_answers_within_items() -> None:
    """Three items of four answers: item means .75, .25, 1 and SE .220479, not the .142134 of twelve alike."""
    rows = [[1, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1]]
    means = item_means(rows)
    assert means == [0.75, 0.25, 1.0]
    assert standard_error(means) == pytest.approx(0.220479, abs=5e-7)
    assert standard_error([float(score) for row in rows for score in row]) == pytest.approx(0.142134, abs=5e-7)


def test_an_item_without_scores_is_left_out() -> None:
    """An item whose answers are all void is not a zero."""
    assert item_means([[1.0, 0.0], [], [1.0]]) == [0.5, 1.0]


def test_clusters_figures() -> None:
    """{1,1,1}, {0,0,1}, {1,0,0}: plain SE .175682, clustered .181444, with G/(G-1) .222222."""
    values = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    clusters = list("aaabbbccc")
    assert mean(values) == pytest.approx(0.555556, abs=5e-7)
    assert standard_error(values) == pytest.approx(0.175682, abs=5e-7)
    assert clustered_error(values, clusters, corrected=False) == pytest.approx(0.181444, abs=5e-7)
    assert clustered_error(values, clusters) == pytest.approx(0.222222, abs=5e-7)


def test_clusters_are_wide_when_few() -> None:
    """t with G-1 degrees of freedom below forty clusters, normal from there."""
    few = clustered_estimate([0.4, 0.5, 0.6], ["a", "b", "c"])
    assert few is not None
    assert few.method == "clustered_se"
    assert few.interval.high - few.value == pytest.approx(stats.t.ppf(0.975, 2) * (few.se or 0.0))
    many = clustered_estimate([0.4, 0.6] * 20, list(range(40)))
    assert many is not None
    assert many.interval.high - many.value == pytest.approx(stats.norm.ppf(0.975) * (many.se or 0.0))


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=40))
def test_each_item_its_own_cluster(values: list[float]) -> None:
    """Clusters of one are no clusters."""
    assert clustered_error(values, list(range(len(values)))) == pytest.approx(standard_error(values))


def test_the_interval_fits_the_scores() -> None:
    """Yes or no: Wilson. Shares: t. Shares that do not differ: Wilson, for their spread says nothing."""
    binary = estimate([1.0, 0.0, 1.0, 1.0, 0.0])
    assert binary is not None
    assert (binary.method, binary.interval) == ("wilson", wilson(3, 5))
    shares = estimate([0.75, 0.25, 1.0])
    assert shares is not None
    assert shares.method == "mean_se"
    assert shares.interval == (max(0.0, 2 / 3 - stats.t.ppf(0.975, 2) * 0.22047927592204922), 1.0)
    same = estimate([0.5, 0.5, 0.5, 0.5])
    assert same is not None
    assert (same.method, same.interval) == ("wilson", wilson(2, 4))
    one = estimate([1.0])
    assert one is not None
    assert (one.se, one.interval) == (None, wilson(1, 1))


@given(scores, st.randoms(use_true_random=False))
def test_order_does_not_matter(values: list[float], random: Random) -> None:
    """The same scores in any order give the same figures to the last bit."""
    shuffled = values[:]
    random.shuffle(shuffled)
    assert estimate(values) == estimate(shuffled)


@given(scores)
def test_estimate_laws(values: list[float]) -> None:
    """The interval is in [0, 1] and holds the mean."""
    found = estimate(values)
    assert found is not None
    assert 0.0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1.0


@pytest.mark.parametrize("n", [10, 20, 50, 200])
def test_wilson_covers(n: int) -> None:
    """Over rates from 5 to 95 %, Wilson covers the true one 95 % of the time on average. Exact, not simulated."""
    covered = []
    for rate in (percent / 100 for percent in range(5, 96)):
        inside = [k for k in range(n + 1) if _holds(wilson(k, n), rate)]
        covered.append(float(stats.binom.pmf(inside, n, rate).sum()))
    assert sum(covered) / len(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.83


def test_answers_within_items_cover() -> None:
    """Items of different difficulty, four answers each: means first covers; counting all answers alike does not."""
    random = Random(20)
    right, wrong, times = 0, 0, 1500
    for _ in range(times):
        rates = [random.betavariate(0.5, 0.5) for _ in range(40)]
        answers = [[float(random.random() < rate) for _ in range(4)] for rate in rates]
        by_item = estimate(item_means(answers))
        alike = estimate([score for row in answers for score in row])
        assert by_item is not None
        assert alike is not None
        right += _holds(by_item.interval, 0.5)
        wrong += _holds(alike.interval, 0.5)
    assert 0.93 < right / times < 0.97
    assert wrong / times < 0.85


def _holds(interval: Interval | None, value: float) -> bool:
    return interval is not None and interval.low <= value <= interval.high


@pytest.mark.parametrize("score", [0.1, 0.35, 0.7])
@pytest.mark.parametrize("n", [3, 6])
def test_equal_scores_are_no_certainty(score: float, n: int) -> None:
    """Their mean differs from them in its last digit; the interval is Wilson's all the same, and not a point."""
    assert standard_error([score] * n) == 0.0
    assert standard_error([score, math.nextafter(score, 1.0)]) == 0.0
    found = estimate([score] * n)
    assert found is not None
    assert found.method == "wilson"
    assert found.interval.high - found.interval.low > 0.2


def test_equal_scores_in_clusters_are_no_certainty() -> None:
    """Of three clusters that do not differ, Wilson's interval of three; that of nine items would be too narrow."""
    for scores in ([1.0] * 9, [0.0] * 9, [0.1] * 9, [0.1, math.nextafter(0.1, 1.0), 0.1] * 3, [1.0, 0.5, 0.0] * 3):
        found = clustered_estimate(scores, list("aaabbbccc"))
        assert found is not None
        assert found.method == "wilson"
        assert found.se == pytest.approx(0.0, abs=1e-12)
        assert found.interval == pytest.approx(wilson(3 * sum(scores) / 9, 3))
    for last in (0.1, math.nextafter(0.1, 1.0)):
        assert 0.0 == clustered_error([0.1] * 8 + [last], list("aaabbbccc"))


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4)), min_size=2, max_size=40), st.randoms(use_true_random=False)
)
def test_clustered_laws(pairs: list[tuple[float, int]], random: Random) -> None:
    """In [0, 1], around the mean, no point, and the same for any order of the items."""
    found = clustered_estimate(*zip(*pairs, strict=True))
    if len({cluster for _, cluster in pairs}) == 1:
        assert found is None
        return
    assert found is not None
    assert 0.0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1.0
    assert found.interval.low < found.interval.high
    shuffled = clustered_estimate(*zip(*random.sample(pairs, len(pairs)), strict=True))
    assert shuffled is not None
    assert shuffled.interval == pytest.approx(found.interval, abs=1e-6)
