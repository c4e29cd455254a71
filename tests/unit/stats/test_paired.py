"""Paired verdicts: oracles computed elsewhere, scipy, and the published comparison of twelve fine-tuned models."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest

from evalkit.stats.intervals import standard_error, wilson
from evalkit.stats.paired import (
    Discordant,
    correlation,
    discordant,
    fewest_flips,
    mcnemar_exact,
    mid_p,
    newcombe_difference,
    newcombe_phi,
    paired_error,
    sign_flip_p,
    smallest_visible_difference,
    unpaired_error,
    wald_difference,
)

_GOLDEN = Path(__file__).parents[3].resolve().parent / "shared/data/golden/mbpp_finetune_compare"


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (2, 9, 0.065430),
        (0, 1, 1.0),
        (0, 0, 1.0),
        (0, 5, 0.0625),
        (0, 6, 0.03125),
        (10, 25, 0.016674),
        (5, 15, 0.041389),
        (7, 7, 1.0),
    ],
)
def test_known_values(only_first: int, only_second: int, p: float) -> None:
    """Both ways round."""
    assert p == pytest.approx(mcnemar_exact(only_first, only_second), abs=5e-7)
    assert mcnemar_exact(only_first, only_second) == mcnemar_exact(only_second, only_first)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 61, 400, 2000])
def test_against_scipy(n: int) -> None:
    """It is the exact binomial test of one half."""
    for count in {0, 1, n // 3, n // 2, n}:
        expected = binomtest(count, n, 0.5).pvalue
        assert expected == pytest.approx(mcnemar_exact(count, n - count), rel=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p(only_first: int, only_second: int) -> None:
    """Twice scipy's tail less the chance of what was seen; below the exact p, and 1 where both sides are equal."""
    found = mid_p(only_first, only_second)
    n, fewer = only_first + only_second, min(only_first, only_second)
    assert found == pytest.approx(2 * stats.binom.cdf(fewer, n, 0.5) - stats.binom.pmf(fewer, n, 0.5), rel=1e-9)
    assert found == mid_p(only_second, only_first) <= mcnemar_exact(only_first, only_second)
    assert (1.0 == found) is (only_first == only_second)


def test_mid_p_figure() -> None:
    """Two against nine."""
    assert mid_p(2, 9) == pytest.approx(0.038574, abs=5e-7)


def test_what_n_items_can_show() -> None:
    """Six flips one way, so 33 points on 18 items and 12 on 50; five items can show nothing."""
    assert 6 == fewest_flips()
    assert 8 == fewest_flips(0.01)
    assert 6 / 18 == smallest_visible_difference(18)
    assert 6 / 50 == smallest_visible_difference(50)
    assert 8 / 50 == smallest_visible_difference(50, 0.01)
    assert 1.0 == smallest_visible_difference(6)
    assert smallest_visible_difference(5) is None
    for alpha in (0.2, 0.05, 0.01, 0.001):
        flips = fewest_flips(alpha)
        assert mcnemar_exact(flips, 0) < alpha <= mcnemar_exact(flips - 1, 0)
    with pytest.raises(ValueError, match="significance"):
        fewest_flips(0.0)


def test_difference_figures() -> None:
    """30 both, 2 and 9 only one, 9 neither: both intervals leave out 0 while the exact p is .065."""
    wald, newcombe = wald_difference(30, 2, 9, 9), newcombe_difference(30, 2, 9, 9)
    assert wald is not None
    assert newcombe is not None
    assert wald.value == newcombe.value == pytest.approx(-0.14)
    assert wald.se == pytest.approx(0.063309, abs=5e-7)
    assert wald.interval == pytest.approx((-0.2641, -0.0159), abs=5e-5)
    assert newcombe.se is None
    assert newcombe.interval == pytest.approx((-0.2667, -0.0086), abs=5e-5)
    assert newcombe_phi(30, 2, 9, 9) == pytest.approx(0.4567, abs=5e-5)
    assert mcnemar_exact(2, 9) == pytest.approx(0.065, abs=5e-4)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe 1998: 36 of 50 both, 12 only the first, 2 only the second, none neither.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((50, 0, 0, 0), -0.0713, 0.0713),
    ],
)
def test_newcombe_published(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    """The published intervals of method 10."""
    found = newcombe_difference(*counts)
    assert found is not None
    assert found.interval == pytest.approx((low, high), abs=6e-5)


four_counts = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


@given(four_counts)
def test_difference_laws(counts: tuple[int, int, int, int]) -> None:
    """Around the difference, in [-1, 1], turned round with the sides, and no point without a flip."""
    both, first, second, neither = counts
    found, turned = newcombe_difference(*counts), newcombe_difference(both, second, first, neither)
    assert found is not None
    assert turned is not None
    assert -1.0 <= found.interval.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.interval.high <= 1.0
    assert (turned.interval.low, turned.interval.high) == pytest.approx((-found.interval.high, -found.interval.low))
    assert found.interval.high - found.interval.low > 0.0
    wald = wald_difference(*counts)
    assert wald is not None
    pairs = [(1, 1)] * both + [(1, 0)] * first + [(0, 1)] * second + [(0, 0)] * neither
    differences = np.array([a - b for a, b in pairs])
    assert wald.se == pytest.approx(differences.std() / math.sqrt(len(pairs)), abs=1e-12)


def test_newcombe_without_correlation() -> None:
    """Where the verdicts are unrelated it is the square-and-add interval of two Wilson intervals."""
    found, one, other = newcombe_difference(10, 20, 5, 10), wilson(30, 45), wilson(15, 45)
    assert found is not None
    assert one is not None
    assert other is not None
    assert 0.0 == newcombe_phi(10, 20, 5, 10)
    assert found.interval.low == pytest.approx(1 / 3 - math.hypot(2 / 3 - one.low, other.high - 1 / 3))
    assert found.interval.high == pytest.approx(1 / 3 + math.hypot(one.high - 2 / 3, 1 / 3 - other.low))


def test_no_items() -> None:
    """No items have no difference; a negative count is a mistake."""
    assert newcombe_difference(0, 0, 0, 0) is None
    assert wald_difference(0, 0, 0, 0) is None
    for figure in (newcombe_difference, wald_difference, newcombe_phi):
        with pytest.raises(ValueError, match="-1 is no count"):
            figure(1, -1, 0, 0)


def test_paired_and_unpaired_errors() -> None:
    """Eight items: the paired error is smaller by the correlation of the scores."""
    first, second = [float(digit) for digit in "11010110"], [float(digit) for digit in "10010011"]
    assert sum(first) / 8 - sum(second) / 8 == 0.125
    assert correlation(first, second) == pytest.approx(0.258199, abs=5e-7)
    assert paired_error(first, second) == pytest.approx(0.226582, abs=5e-7)
    assert unpaired_error(first, second) == pytest.approx(0.263052, abs=5e-7)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30))
def test_errors_hang_together(pairs: list[tuple[float, float]]) -> None:
    """SE² of the difference = SE_A² + SE_B² - 2 ρ SE_A SE_B; ρ is numpy's."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    rho, paired, unpaired = correlation(first, second), paired_error(first, second), unpaired_error(first, second)
    errors = standard_error(first), standard_error(second)
    assert paired is not None
    assert unpaired is not None
    if rho is None:
        assert not errors[0] or not errors[1]
        assert paired == pytest.approx(unpaired, abs=1e-9)
    elif min(errors) > 1e-6:
        assert rho == pytest.approx(np.corrcoef(first, second)[0, 1], abs=1e-6)
        assert paired**2 == pytest.approx(unpaired**2 - 2 * rho * errors[0] * errors[1], abs=1e-9)


def test_one_item_has_no_error() -> None:
    """Nor has an item without a partner a difference."""
    assert paired_error([1.0], [0.0]) is None
    assert unpaired_error([1.0], [0.0, 1.0]) is None
    assert correlation([], []) is None
    assert correlation([1.0, 1.0], [0.0, 1.0]) is None
    with pytest.raises(ValueError):
        paired_error([1.0, 0.0], [0.0])


def test_sign_flips_figure() -> None:
    """Six differences, one of them 0: 16 of 64."""
    assert 16 / 64 == sign_flip_p([0.25, 0.5, 0, -0.25, 0.75, 0.25])
    assert 1.0 == sign_flip_p([]) == sign_flip_p([0.0, 0.0])


@given(st.integers(0, 90), st.integers(0, 90))
def test_sign_flips_of_verdicts_are_mcnemar(only_first: int, only_second: int) -> None:
    """Exactly, however many."""
    flips = [1.0] * only_first + [-1.0] * only_second
    assert sign_flip_p(flips) == mcnemar_exact(only_first, only_second)


@settings(max_examples=50)
@given(st.lists(st.floats(-1, 1).filter(lambda d: abs(d) > 1e-3 or d == 0), min_size=2, max_size=9))
def test_sign_flips_against_scipy(differences: list[float]) -> None:
    """The permutation test over all signs."""

    def distance(values: np.ndarray, axis: int) -> np.ndarray:
        return np.round(abs(values.sum(axis=axis)), 9)

    expected = stats.permutation_test(
        (np.array(differences),), distance, permutation_type="samples", alternative="greater", n_resamples=np.inf
    )
    assert sign_flip_p(differences) == pytest.approx(expected.pvalue)


def test_sixteen_are_exact_and_more_are_drawn() -> None:
    """Seeded, the same again, near the exact one, and never 0."""
    random = Random(4)
    differences = [random.gauss(0.3, 1) for _ in range(16)]
    exact = sign_flip_p(differences)
    assert exact == sign_flip_p(differences, seed=7)
    assert 0 == exact * 2**16 % 2
    split = [
        part for difference in differences[:8] for part in (difference, random.gauss(0.1, 1), -0.01 * random.random())
    ]
    drawn, again, other = sign_flip_p(split), sign_flip_p(split), sign_flip_p(split, seed=1)
    assert drawn == again != other
    assert drawn == pytest.approx(other, abs=0.03)
    assert 1 / 1001 == sign_flip_p([1 + random.random() for _ in range(60)], resamples=1000)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.1, 0.3, 0.7]), max_size=25), st.randoms(use_true_random=False))
def test_sign_flip_laws(differences: list[float], random: Random) -> None:
    """Neither order nor direction matters, nor what does not differ."""
    p = sign_flip_p(differences)
    assert 0.0 < p <= 1.0
    assert p == sign_flip_p(random.sample(differences, len(differences)))
    assert p == sign_flip_p([-difference for difference in differences])
    assert p == sign_flip_p([*differences, 0.0, 0.0])


def test_pairs() -> None:
    """What both pass or both fail says nothing."""
    assert Discordant(2, 1) == discordant([(True, True), (True, False), (False, True), (False, False), (True, False)])


def test_no_counts() -> None:
    """A negative count is a mistake of the caller."""
    with pytest.raises(ValueError, match="no counts"):
        mcnemar_exact(-1, 2)


@pytest.mark.skipif(not _GOLDEN.is_dir(), reason="the published verdicts of ../shared/data are not here")
def test_twelve_fine_tuned_models() -> None:
    """Pass counts, both discordant counts and the exact p of every variant against the base model."""
    expected = json.loads((_GOLDEN / "expected.json").read_text("utf-8"))
    with gzip.open(_GOLDEN / "verdicts.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    assert (13, 590) == (len(expected), len(rows))
    for name, known in expected.items():
        found = discordant((row[name], row["base"]) for row in rows)
        assert (known["passed"], known["only_variant"], known["only_base"]) == (sum(row[name] for row in rows), *found)
        assert known["mcnemar_exact_p"] == pytest.approx(mcnemar_exact(*found), rel=1e-12)
