"""The mean of strata's means: worked by hand, and its interval holds what it says."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.intervals import estimate
from evalkit.stats.strata import macro_estimate

strata = st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=6), min_size=1, max_size=5)


def test_worked_by_hand() -> None:
    """Means 1/2 and 3/4, SE² 1/12 and 1/16: SE² = (1/12 + 1/16) / 4, Satterthwaite's freedom 5.81."""
    found = macro_estimate([[1.0, 0.0, 1.0, 0.0], [], [1.0, 1.0, 1.0, 0.0]])
    assert found is not None
    freedom = (1 / 12 + 1 / 16) ** 2 / ((1 / 12) ** 2 / 3 + (1 / 16) ** 2 / 3)
    half = stats.t.ppf(0.975, freedom) * ((1 / 12 + 1 / 16) / 4) ** 0.5
    assert (found.value, found.n, found.method) == (0.625, 2, "strata_se")
    assert found.se == pytest.approx(0.190941, abs=1e-6)
    assert found.interval.low == pytest.approx(0.625 - half)
    assert 1.0 == found.interval.high


def test_a_stratum_where_all_is_alike_is_not_held_for_certain() -> None:
    """Its spread is that of 3.92 of 5.84: (x + z²/2) of (n + z²)."""
    found = macro_estimate([[1.0, 1.0], [0.0, 0.0]])
    assert found is not None
    z_squared = stats.norm.ppf(0.975) ** 2
    share = (2 + z_squared / 2) / (2 + z_squared)
    assert found.se == pytest.approx((2 * share * (1 - share) / (2 + z_squared)) ** 0.5 / 2)


@pytest.mark.parametrize("groups", [[], [[]], [[1.0], [0.0, 1.0]]])
def test_not_to_be_had(groups: list[list[float]]) -> None:
    """Of nothing, or of a stratum whose spread is not known."""
    assert macro_estimate(groups) is None


@given(strata, st.randoms(use_true_random=False))
def test_laws(groups: list[list[float]], random: Random) -> None:
    """In [0, 1], around the mean, and the same for any order of strata and items."""
    found = macro_estimate(groups)
    assert found is not None
    assert 0.0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1.0
    shuffled = [random.sample(scores, len(scores)) for scores in random.sample(groups, len(groups))]
    assert found == macro_estimate(shuffled)


def test_one_stratum_is_an_ordinary_mean() -> None:
    """Nothing is added where there is nothing to add."""
    for scores in ([0.25, 0.75, 1.0], [1.0, 1.0], [1.0]):
        expected = estimate(scores)
        assert expected is not None
        assert expected._replace(n=1) == macro_estimate([[], scores])


@pytest.mark.parametrize(
    ("sizes", "rates"),
    [
        ((10, 10, 10), (0.9, 0.5, 0.1)),
        ((50, 30, 10), (0.8, 0.5, 0.3)),
        ((5, 5, 5), (0.9, 0.8, 0.1)),
        ((100, 10), (0.98, 0.6)),
        ((3,) * 20, tuple(step / 20 for step in range(20))),
    ],
)
def test_it_covers(sizes: tuple[int, ...], rates: tuple[float, ...]) -> None:
    """In at least 92 of 100 draws the interval holds the mean of the true rates."""
    random, inside, times = Random(4), 0, 800
    for _ in range(times):
        drawn = [[float(random.random() < rate) for _ in range(n)] for n, rate in zip(sizes, rates, strict=True)]
        found = macro_estimate(drawn)
        assert found is not None
        inside += found.interval.low <= sum(rates) / len(rates) <= found.interval.high
    assert inside / times > 0.92
