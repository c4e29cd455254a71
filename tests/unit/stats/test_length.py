"""Length: who wins, and who would win at equal length."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from evalkit.stats.intervals import mean
from evalkit.stats.length import length_control, longer_wins

DIFFERENCES = (400, 250, -50, 100, 300, -200, -150, 20)
RESULTS = (1, 1, 1, 0, 1, 0, 0, 1)
some = st.lists(st.tuples(st.integers(-900, 900), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=40)


def test_eight_pairs() -> None:
    """With and without a penalty, as they were worked out by hand."""
    plain, penal = length_control(DIFFERENCES, RESULTS, ridge=0.0), length_control(DIFFERENCES, RESULTS)
    assert plain is not None
    assert penal is not None
    assert (0.2589, 2.5978, 0.5644) == tuple(round(x, 4) for x in (plain.theta, plain.gamma, plain.rate))
    assert (0.3690, 0.8730, 0.5912) == tuple(round(x, 4) for x in (penal.theta, penal.gamma, penal.rate))


def test_longer_wins_of_what_is_decided_and_unequal() -> None:
    """Ties and answers of one length say nothing of it."""
    found = longer_wins([*DIFFERENCES, 100, 0], [*RESULTS, 0.5, 1.0])
    assert found is not None
    assert (6, 8, 0.75, 0.2890625) == (found.rate.part, found.rate.of, found.rate.value, found.p)
    assert longer_wins([100, 0], [0.5, 1.0]) is None


def test_equal_lengths_leave_the_plain_rate() -> None:
    found = length_control([0.0] * 8, RESULTS)
    assert found is not None
    assert (pytest.approx(5 / 8), 0.0) == (found.rate, found.gamma)


def test_everything_won_is_everything_won() -> None:
    """No length can explain it away, and none can be told apart from worth."""
    found, lost = length_control([100.0, 200.0], [1.0, 1.0]), length_control([100.0], [0.0])
    assert found is not None
    assert lost is not None
    assert (1.0, 0.0, 0.0) == (found.rate, found.gamma, lost.rate)
    assert length_control([], []) is None


def test_lengths_that_tell_all() -> None:
    """Every longer answer wins: without a penalty the slope has no end, with one it has."""
    assert length_control([100.0, 200.0, -100.0, -200.0], [1.0, 1.0, 0.0, 0.0], ridge=0.0) is None
    found = length_control([100.0, 200.0, -100.0, -200.0], [1.0, 1.0, 0.0, 0.0])
    assert found is not None
    assert (0.5, True) == (round(found.rate, 6), found.gamma > 0.5)


@given(some)
def test_the_other_side_has_the_rest(pairs: list[tuple[int, float]]) -> None:
    mine = length_control([d for d, _ in pairs], [y for _, y in pairs])
    other = length_control([-d for d, _ in pairs], [1.0 - y for _, y in pairs])
    assert mine is not None
    assert other is not None
    assert pytest.approx(1.0, abs=1e-9) == mine.rate + other.rate


@given(some)
def test_it_is_the_least_loss(pairs: list[tuple[int, float]]) -> None:
    """What scipy finds by another way."""
    differences, results = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = length_control(list(differences), list(results))
    assert found is not None
    if mean(list(results)) in (0.0, 1.0):
        return
    spread = differences.std(ddof=1)
    slopes = np.tanh(differences / spread) if spread > 1e-9 else 0.0 * differences

    def loss(at: np.ndarray) -> float:
        logits = at[0] + at[1] * slopes
        return float(np.sum(np.logaddexp(0.0, logits) - results * logits) + at[1] ** 2 / 2.0)

    best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-9})
    assert loss(np.array([found.theta, found.gamma])) <= best.fun + 1e-9
    assert math.isfinite(found.theta)
