"""How well a score ranks: worked by hand, scipy, every arrangement listed, and a published Best-of-N run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.bootstrap import ratio_interval
from evalkit.stats.intervals import wilson
from evalkit.stats.ranking import (
    WithinAuc,
    auc,
    auc_interval,
    chosen_ranks_p,
    mann_whitney_p,
    point_biserial,
    spearman,
    within_auc,
    within_auc_interval,
    within_auc_permutation_p,
)

# The selected candidate's rubric score and its verdict, from the tables of the report on Best-of-N of October 2025 in
# github.com/rand/lift-sys. The last four failed.
_SCORES = [
    136.0,
    65.7,
    54.8,
    106.8,
    55.2,
    59.2,
    110.1,
    44.2,
    108.2,
    64.9,
    43.9,
    55.9,
    45.5,
    65.8,
    59.3,
    56.6,
    74.2,
    56.0,
]
_PASSED = [True] * 14 + [False] * 4
_TWO_MIXED = [
    [(5.0, True), (3.0, False), (4.0, False)],
    [(9.0, True), (1.0, True), (1.0, True)],
    [(7.0, False), (7.0, False), (8.0, False)],
    [(6.0, False), (2.0, True), (8.0, True)],
]

scored = st.lists(st.tuples(st.integers(0, 5).map(float), st.booleans()), min_size=2, max_size=12)
mixed = scored.filter(lambda pairs: len({passed for _, passed in pairs}) == 2)
groups = st.lists(
    st.lists(st.tuples(st.integers(0, 3).map(float), st.booleans()), min_size=1, max_size=4), min_size=1, max_size=3
)


def test_a_published_run() -> None:
    """Eighteen scores: they rank passes no better than a coin does."""
    found = auc_interval(_SCORES, _PASSED)
    assert found is not None
    assert 27 / 56 == auc(_SCORES, _PASSED) == found.value
    assert found.se == pytest.approx(0.1390, abs=5e-5)
    assert found.interval == pytest.approx((0.210, 0.755), abs=5e-4)
    assert point_biserial(_SCORES, _PASSED) == pytest.approx(0.1777, abs=5e-5)
    assert spearman(_SCORES, [float(passed) for passed in _PASSED]).value == pytest.approx(-0.0258, abs=5e-5)
    assert mann_whitney_p(_SCORES, _PASSED) == pytest.approx(0.9588, abs=5e-5)


@given(mixed)
def test_auc_is_the_share_of_pairs(pairs: list[tuple[float, bool]]) -> None:
    """Every pair of a pass and a fail, ties counted half; scipy's U is the same count."""
    scores, labels = zip(*pairs, strict=True)
    passes = [score for score, passed in pairs if passed]
    fails = [score for score, passed in pairs if not passed]
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in passes for b in fails]
    assert auc(scores, labels) == pytest.approx(sum(won) / len(won))
    assert auc(scores, labels) == pytest.approx(stats.mannwhitneyu(passes, fails).statistic / len(won))


@given(mixed, st.randoms(use_true_random=False))
def test_auc_laws(pairs: list[tuple[float, bool]], random: Random) -> None:
    """In [0, 1]; turned round by other labels or other signs; the same for any order and any growing scale."""
    scores, labels = zip(*pairs, strict=True)
    value = auc(scores, labels)
    assert value is not None
    assert 0.0 <= value <= 1.0
    assert auc(scores, [not label for label in labels]) == pytest.approx(1 - value)
    assert auc([-score for score in scores], labels) == pytest.approx(1 - value)
    assert auc([score**3 + 1 for score in scores], labels) == value
    shuffled = random.sample(pairs, len(pairs))
    assert auc(*zip(*shuffled, strict=True)) == value
    estimate, again = auc_interval(scores, labels), auc_interval(*zip(*shuffled, strict=True))
    assert estimate == again
    if estimate is not None:
        low, high = estimate.interval
        assert 0.0 <= low <= value + 1e-12
        assert value - 1e-12 <= high <= 1.0
        turned = auc_interval(scores, [not label for label in labels])
        assert turned is not None
        assert turned.interval == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_not_estimable() -> None:
    """Without a pass or a fail there is no AUC, and it is not one half."""
    for labels in ([True, True], [False, False], []):
        scores = [1.0, 2.0][: len(labels)]
        assert auc(scores, labels) is None
        assert auc_interval(scores, labels) is None
        assert mann_whitney_p(scores, labels) is None
        assert point_biserial(scores, labels) is None
    assert auc_interval([1.0, 2.0, 3.0], [True, False, False]) is None
    only = [[(1.0, True), (2.0, True)], [(3.0, False)]]
    assert WithinAuc(None, 0, 0, 2) == within_auc(only)
    assert within_auc_permutation_p(only) is None
    assert within_auc_interval(only) is None
    assert within_auc_interval(_TWO_MIXED[:3]) is None  # one mixed group


def test_delong_by_the_definition() -> None:
    """Variances of the share of fails below each pass and of passes above each fail, with numpy."""
    random = np.random.default_rng(3)
    passes, fails = random.integers(0, 20, 15), random.integers(0, 15, 11)
    won = (passes[:, None] > fails) + (passes[:, None] == fails) / 2
    expected = math.sqrt(won.mean(axis=1).var(ddof=1) / 15 + won.mean(axis=0).var(ddof=1) / 11)
    found = auc_interval([*passes.tolist(), *fails.tolist()], [True] * 15 + [False] * 11)
    assert found is not None
    assert found.se == pytest.approx(expected, rel=1e-12)


def test_separated_scores_are_no_certainty() -> None:
    """DeLong's error is 0 there; the interval is not a point, and narrows with more scores."""
    few = auc_interval([1.0, 2.0, 3.0, 4.0], [False, False, True, True])
    many = auc_interval([*map(float, range(40))], [False] * 20 + [True] * 20)
    assert few is not None
    assert many is not None
    assert (1.0, 0.0, 1.0) == (few.value, few.se, few.interval.high)
    assert few.interval.low < 0.6 < many.interval.low < 0.95
    tied = auc_interval([1.0] * 20, [True, False] * 10)
    assert tied is not None
    assert 0.5 == tied.value
    assert tied.interval.low == pytest.approx(1 - tied.interval.high)
    assert tied.interval.high > 0.7


def test_newcombe_interval_solves_its_equation() -> None:
    """The lower end of 1 is where 1 - x = z · √(x(1-x)(1 + (N-1)((1-x)/(2-x) + x/(1+x)))/(mn)), N = (m+n)/2."""
    found = auc_interval([*map(float, range(14))], [False] * 6 + [True] * 8)
    assert found is not None
    x = found.interval.low
    spread = x * (1 - x) * (1 + (7 - 1) * ((1 - x) / (2 - x) + x / (1 + x))) / 48
    assert 1 - x == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(spread), rel=1e-9)


def test_two_mixed_groups() -> None:
    """Two of two pairs in one, one of two in the other; what passes or fails throughout says nothing."""
    assert WithinAuc(0.75, 4, 2, 4) == within_auc(_TWO_MIXED)
    assert 2 / 3 == within_auc_permutation_p(_TWO_MIXED)  # of 3 · 3 arrangements, 6 are 1 pair or more from the middle
    assert (0.5, 1.0) == within_auc_interval(_TWO_MIXED)


def test_groups_alike_are_no_certainty() -> None:
    """Every pair of three groups is right, or every pair is tied: Wilson's interval of three."""
    right = [[(2.0, True), (1.0, False)], [(3.0, True), (1.0, False), (2.0, True)], [(9.0, True), (8.0, False)]]
    assert wilson(3, 3) == within_auc_interval(right)
    tied = [[(1.0, passed) for _, passed in group] for group in right]
    assert wilson(1.5, 3) == within_auc_interval(tied)
    assert within_auc_interval(right[:1]) is None


def test_within_interval_is_the_bootstrap_over_mixed_groups() -> None:
    """(pairs won, pairs) of each mixed group are drawn; 95 % unless another share is asked for."""
    random = Random(9)
    found = [[(random.gauss(0.5 * passed, 1), passed) for passed in (True, True, False, False)] for _ in range(12)]
    parts = [((within_auc([group]).value or 0.0) * 4, 4.0) for group in found]
    unmixed = [(3.0, True), (1.0, True)]
    assert ratio_interval(parts, 0.95, 500, 3) == within_auc_interval([*found, unmixed], resamples=500, seed=3)
    assert ratio_interval(parts, 0.8, 500, 3) == within_auc_interval(found, 0.8, 500, 3)


@given(groups)
def test_within_is_the_share_of_pairs(found: list[list[tuple[float, bool]]]) -> None:
    """Every pair in every group, and a group that is not mixed changes nothing but the count of groups."""
    won = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for group in found
        for a, a_passed in group
        for b, b_passed in group
        if a_passed and not b_passed
    ]
    result = within_auc(found)
    assert len(won) == result.pairs
    assert len(found) == result.groups
    assert result.value == (pytest.approx(sum(won) / len(won)) if won else None)
    assert result._replace(groups=len(found) + 1) == within_auc([*found, [(1.0, True), (9.0, True)]])
    turned = within_auc([[(score, not passed) for score, passed in group] for group in found])
    assert turned.value == (None if result.value is None else pytest.approx(1 - result.value))


@settings(max_examples=40)
@given(groups)
def test_permutation_p_is_the_share_of_arrangements(found: list[list[tuple[float, bool]]]) -> None:
    """Every way to deal out the passes of each group, listed."""
    deals = [sorted(set(itertools.permutations(passed for _, passed in group))) for group in found]
    seen = within_auc(found).value
    if seen is None:
        assert within_auc_permutation_p(found) is None
        return
    values = []
    for dealt in itertools.product(*deals):
        again = [
            list(zip((score for score, _ in group), deal, strict=True))
            for group, deal in zip(found, dealt, strict=True)
        ]
        values.append(within_auc(again).value or 0.0)
    extreme = [abs(value - 0.5) >= abs(seen - 0.5) - 1e-12 for value in values]
    assert within_auc_permutation_p(found) == pytest.approx(sum(extreme) / len(extreme))


def test_many_groups_are_sampled_near_the_normal_p() -> None:
    """Too many pairs to count exactly: seeded, the same again, and as the normal approximation has it."""
    random = Random(8)
    found = []
    for _ in range(400):
        passed = [True] * 4 + [False] * 4
        found.append([(random.gauss(0.1 * verdict, 1), verdict) for verdict in passed])
    value = within_auc(found).value
    assert value is not None
    normal = 2 * stats.norm.sf(abs(value - 0.5) * 16 * 400 / math.sqrt(400 * 16 * 9 / 12))
    p = within_auc_permutation_p(found, resamples=4000)
    assert p == pytest.approx(normal, abs=4 * math.sqrt(normal * (1 - normal) / 4000) + 0.002)
    assert p == within_auc_permutation_p(found, resamples=4000)
    assert p != within_auc_permutation_p(found, resamples=4000, seed=1)


def test_large_groups_are_dealt_out() -> None:
    """One group of a hundred: as the normal approximation has it, and never 0."""
    random = Random(2)
    group = [(random.gauss(0.25 * verdict, 1), verdict) for verdict in [True, False] * 50]
    expected = mann_whitney_p([score for score, _ in group], [passed for _, passed in group])
    assert expected is not None
    assert within_auc_permutation_p([group], resamples=2000) == pytest.approx(expected, abs=0.04)
    clear = [(float(place), place >= 50) for place in range(100)]
    assert 1 / 201 == within_auc_permutation_p([clear], resamples=200)


@given(st.permutations(range(14)), st.integers(1, 13))
def test_mann_whitney_against_scipy(ranks: list[int], passes: int) -> None:
    """Without ties, scipy's exact p."""
    labels = [place < passes for place in range(14)]
    scores = [float(rank) for rank in ranks]
    expected = stats.mannwhitneyu(scores[:passes], scores[passes:], method="exact").pvalue
    assert mann_whitney_p(scores, labels) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(mixed.filter(lambda pairs: len(pairs) <= 8 and 2 <= sum(passed for _, passed in pairs) <= len(pairs) - 2))
def test_mann_whitney_with_ties_against_scipy(pairs: list[tuple[float, bool]]) -> None:
    """With ties, the permutation test over every split."""
    passes = [score for score, passed in pairs if passed]
    fails = [score for score, passed in pairs if not passed]

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        won = (one[:, None] > other).sum() + (one[:, None] == other).sum() / 2
        return float(abs(won - one.size * other.size / 2))

    found = stats.permutation_test((passes, fails), distance, alternative="greater", vectorized=False)
    scores, labels = zip(*pairs, strict=True)
    assert mann_whitney_p(scores, labels) == pytest.approx(found.pvalue, rel=1e-9)


@pytest.mark.parametrize("distinct", [3, 50, 10_000])
def test_mann_whitney_of_many_against_scipy(distinct: int) -> None:
    """The normal approximation with ties and continuity."""
    random = Random(distinct)
    scores = [float(random.randrange(distinct)) for _ in range(300)]
    labels = [random.random() < 0.4 for _ in scores]
    passes = [score for score, passed in zip(scores, labels, strict=True) if passed]
    fails = [score for score, passed in zip(scores, labels, strict=True) if not passed]
    expected = stats.mannwhitneyu(passes, fails, method="asymptotic").pvalue
    assert mann_whitney_p(scores, labels) == pytest.approx(expected, rel=1e-9)
    assert 1.0 == mann_whitney_p([7.0] * 300, labels)


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_chosen_ranks(drawn: tuple[int, set[int]]) -> None:
    """The same as with a score for each rank and a label for each choice."""
    n, chosen = drawn
    assert chosen_ranks_p(sorted(chosen), n) == mann_whitney_p(range(n), [rank in chosen for rank in range(n)])


def test_exact_and_normal_meet() -> None:
    """Thirty scores are still counted exactly, and the approximation is near."""
    random = Random(6)
    scores, labels = [random.gauss(0, 1) for _ in range(30)], [True, False, False] * 10
    passes = [score for score, passed in zip(scores, labels, strict=True) if passed]
    fails = [score for score, passed in zip(scores, labels, strict=True) if not passed]
    assert mann_whitney_p(scores, labels) == pytest.approx(stats.mannwhitneyu(passes, fails, method="exact").pvalue)
    assert mann_whitney_p(scores, labels) == pytest.approx(
        stats.mannwhitneyu(passes, fails, method="asymptotic").pvalue, abs=0.02
    )


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=6))
def test_spearman_is_exact_for_few(pairs: list[tuple[int, int]]) -> None:
    """scipy's coefficient, and the share of all orders as far from 0; the smallest p is that of the clearest order."""
    x, y = zip(*pairs, strict=True)
    found = spearman(x, y)
    assert (len(x), True) == (found.n, found.exact)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert (None, None, None) == (found.value, found.p, found.smallest_p)
        return
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    values = [abs(_quiet_spearman(x, order)) for order in itertools.permutations(y)]
    assert found.p == pytest.approx(sum(v >= abs(found.value) - 1e-9 for v in values) / len(values))
    assert found.smallest_p == pytest.approx(sum(v >= max(values) - 1e-9 for v in values) / len(values))


def _quiet_spearman(x: tuple[int, ...], y: tuple[int, ...]) -> float:
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def test_spearman_of_nine_against_scipy() -> None:
    """The permutation test over all 362,880 orders, without ties and with them."""
    for y in ([3, 1, 2, 5, 4, 9, 7, 6, 8], [3, 1, 2, 5, 5, 5, 7, 6, 1]):
        ranks = stats.rankdata(y)
        products = np.fromiter(
            (np.dot(order, range(1, 10)) for order in itertools.permutations(ranks)), float, math.factorial(9)
        )
        middle = 5 * ranks.sum()
        expected = (abs(products - middle) >= abs(np.dot(ranks, range(1, 10)) - middle) - 1e-9).mean()
        assert spearman(range(9), y).p == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=10, max_size=40))
def test_spearman_of_many_against_scipy(pairs: list[tuple[int, int]]) -> None:
    """Student's t from ten pairs, with ties; never below what one order of all can have."""
    x, y = zip(*pairs, strict=True)
    found = spearman(x, y)
    assert not found.exact
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found.value is None
        return
    expected = stats.spearmanr(x, y)
    assert found.value == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p == pytest.approx(max(expected.pvalue, 2 / math.factorial(len(x))), rel=1e-6)


def test_few_pairs_cannot_be_significant() -> None:
    """The smallest two-sided p is 2/n!: from five pairs it is below .05."""
    for n, expected in ((2, 1.0), (3, 1 / 3), (4, 1 / 12), (5, 1 / 60)):
        found = spearman(range(n), range(n))
        assert (1.0, pytest.approx(expected), pytest.approx(expected)) == (found.value, found.p, found.smallest_p)
    assert spearman(range(5), [1, 1, 1, 1, 2]).smallest_p == pytest.approx(0.4)  # tied values are fewer orders


@pytest.mark.parametrize("figure", [spearman, point_biserial])
def test_pairs_belong_together(figure: Callable[[list[float], list[float]], object]) -> None:
    """Lists of different length are a mistake of the caller."""
    with pytest.raises(ValueError):
        figure([1.0, 2.0, 3.0], [1.0, 0.0])


@given(mixed)
def test_point_biserial_against_scipy(pairs: list[tuple[float, bool]]) -> None:
    """Pearson with a yes or no."""
    scores, labels = zip(*pairs, strict=True)
    found = point_biserial(scores, labels)
    if len(set(scores)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.pointbiserialr(labels, scores).statistic, abs=1e-12)
