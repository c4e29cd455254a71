"""The bootstrap: deterministic, numpy's quantiles, every resample listed, and the t interval where that is right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.bootstrap import mean_interval, percentile_interval, ratio_interval
from evalkit.stats.intervals import estimate

values = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def test_same_seed_same_interval() -> None:
    """These digits are the same on every platform and version: only `random()` is drawn."""
    scores = [0.0, 0.25, 0.5, 0.5, 1.0]
    draw = Random(0).random
    expected = sorted(sum(scores[int(draw() * 5)] for _ in range(5)) / 5 for _ in range(1000))
    found = mean_interval(scores, resamples=1000)
    assert found == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))
    assert found == mean_interval(scores, resamples=1000)
    assert found != mean_interval(scores, resamples=1000, seed=1)


@settings(max_examples=30)
@given(values, st.randoms(use_true_random=False))
def test_laws(scores: list[float], random: Random) -> None:
    """Within the scores, the same for any order, and narrower where less is asked."""
    found = mean_interval(scores, resamples=200)
    assert found is not None
    assert min(scores) - 1e-12 <= found.low <= found.high <= max(scores) + 1e-12
    assert found == mean_interval(random.sample(scores, len(scores)), resamples=200)
    narrow = mean_interval(scores, 0.8, 200)
    assert narrow is not None
    assert found.low <= narrow.low <= narrow.high <= found.high
    alone = ratio_interval([(score, 1.0) for score in scores], resamples=200)
    assert alone == pytest.approx(found)


def test_near_every_resample_listed() -> None:
    """Of four items there are 256 resamples: the interval is theirs but for the draw."""
    scores = [0.1, 0.4, 0.8, 0.9]
    listed = [sum(drawn) / 4 for drawn in itertools.product(scores, repeat=4)]
    found = mean_interval(scores)
    assert found == pytest.approx(tuple(np.quantile(listed, [0.025, 0.975])), abs=0.02)


def test_near_t_and_scipy() -> None:
    """Of two hundred scores the t interval and scipy's bootstrap are within a hundredth."""
    random = Random(3)
    scores = [random.betavariate(2, 3) for _ in range(200)]
    found, expected = mean_interval(scores), estimate(scores)
    assert expected is not None
    assert found == pytest.approx(expected.interval, abs=0.005)
    theirs = stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1))
    assert found == pytest.approx(tuple(theirs.confidence_interval), abs=0.005)


def test_any_statistic() -> None:
    """A median; and one that some resamples do not have."""

    def share_of_known(drawn: Sequence[float | None]) -> float | None:
        known = [value for value in drawn if value is not None]
        return sum(known) / len(known) if known else None

    middle = percentile_interval([1.0, 2.0, 3.0, 4.0, 9.0], lambda drawn: sorted(drawn)[2], resamples=500)
    assert (1.0, 9.0) == middle
    assert percentile_interval([1.0, None, 0.0], share_of_known, resamples=500) == (0.0, 1.0)
    assert percentile_interval([None, None], share_of_known, resamples=500) is None


def test_ratios_of_clusters() -> None:
    """Clusters of unequal size: the ratio of sums, not the mean of ratios; a resample without a pair is left out."""
    found = ratio_interval([(1.0, 1.0), (0.0, 9.0)], resamples=2000)
    assert (0.0, 1.0) == found
    assert ratio_interval([(1.0, 2.0), (2.0, 4.0), (0.0, 0.0)], resamples=500) == (0.5, 0.5)
    assert ratio_interval([(0.0, 0.0), (0.0, 0.0)], resamples=50) is None


def test_too_few() -> None:
    """One item says nothing about the next."""
    assert mean_interval([]) is None
    assert mean_interval([1.0]) is None
    assert ratio_interval([(1.0, 2.0)]) is None
