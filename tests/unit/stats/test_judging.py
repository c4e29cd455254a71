"""Wins, losses and ties: six categories of a published benchmark, and games in two orders with known answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from evalkit.stats.intervals import mean, standard_error
from evalkit.stats.judging import (
    Tally,
    bounds,
    can_be_shown,
    outcomes,
    position,
    score,
    sign_p,
    win_rate,
    win_ratio,
)
from evalkit.stats.multiple import holm
from evalkit.stats.strata import macro_estimate

# github.com/dkeviv/Cogumi-LLM, October 2025: tally, score, SE, decisive win rate and its interval, p, Holm.
SIX = {
    "knowledge": (Tally(45, 5, 0), 0.900, 0.0429, (0.900, 0.786, 0.957), 4.210e-9, 2.526e-8),
    "reasoning": (Tally(43, 7, 0), 0.860, 0.0496, (0.860, 0.738, 0.930), 2.099e-7, 1.049e-6),
    "instruction": (Tally(33, 7, 10), 0.760, 0.0520, (0.825, 0.681, 0.913), 0.00004228, 0.0001691),
    "creativity": (Tally(2, 1, 2), 0.600, 0.1871, (0.667, 0.208, 0.939), 1.0, 1.0),
    "code": (Tally(24, 16, 10), 0.580, 0.0629, (0.600, 0.446, 0.737), 0.268187, 0.536375),
    "math": (Tally(3, 12, 35), 0.410, 0.0370, (0.200, 0.070, 0.452), 0.035156, 0.105469),
}
counts = st.integers(0, 60)


@pytest.mark.parametrize("category", SIX)
def test_six_categories(category: str) -> None:
    """Score, its error, the win rate without ties and the exact p, as they were worked out by hand."""
    tally, value, error, rate, p, _ = SIX[category]
    found, wins = score(tally), win_rate(tally)
    assert found is not None
    assert found.se is not None
    assert wins is not None
    assert (value, error) == (round(found.value, 4), round(found.se, 4))
    assert rate == tuple(round(number, 3) for number in (wins.value, *wins.interval))
    assert pytest.approx(p, rel=0.005) == sign_p(tally.wins, tally.losses)


def test_six_tests_at_once() -> None:
    """Math at p = 0.035 is no loss that six categories can show."""
    adjusted = holm([sign_p(tally.wins, tally.losses) for tally, *_ in SIX.values()])
    assert pytest.approx([one[-1] for one in SIX.values()], rel=0.005) == adjusted


def test_the_whole() -> None:
    """255 pairs, not 305; 70.0 % pooled and 68.5 % over categories, not 72 to 75 %."""
    tallies = [one[0] for one in SIX.values()]
    whole = Tally(*(sum(parts) for parts in zip(*tallies, strict=True)))
    assert (150, 48, 57, 0, 255, 198) == (*whole, whole.n, whole.decided)
    found, macro = score(whole), macro_estimate([outcomes(tally) for tally in tallies])
    assert found is not None
    assert macro is not None
    assert (0.7, 0.685) == (round(found.value, 4), round(macro.value, 4))


def test_ten_pairs_in_both_orders() -> None:
    """Five won, two lost, one tied, and two on which the first answer wins both times: a half each, told apart."""
    win, loss, tie, flip = ("first", "second"), ("second", "first"), ("tie", "tie"), ("first", "first")
    found = position([win] * 5 + [loss] * 2 + [tie] + [flip] * 2)
    assert found.rate is not None
    assert (11, 18, 0.6111) == (found.rate.part, found.rate.of, round(found.rate.value, 4))
    assert (10, 2, 2, 0, 0.5) == (found.pairs, found.flips, found.to_first, found.to_second, found.p)
    tally = Tally(5, 2, 1, 2)
    value = score(tally)
    assert value is not None
    assert (0.65, 10) == (value.value, tally.n)


def test_an_order_that_is_half_a_flip() -> None:
    """First and then a tie: the orders do not agree, and the judge leans to the first place."""
    found = position([("first", "tie"), ("tie", "second")])
    assert (2, 1, 1) == (found.flips, found.to_first, found.to_second)


def test_one_order_says_nothing_of_places() -> None:
    """The share is there, and no pair that could tell it from the worth of the answers."""
    found = position([("first",), ("first",), ("second", None), (None, None)])
    assert found.rate is not None
    assert (2, 2, 0, None, None) == (found.rate.part, found.rate.of, found.pairs, found.p, found.flip_rate)


def test_nothing() -> None:
    assert (None, None, None, None) == (
        score(Tally(0, 0, 0)), win_rate(Tally(0, 0, 4)), win_ratio(Tally(3, 0, 0)), bounds(Tally(0, 0, 0), 0)
    )  # fmt: skip
    assert 1.0 == sign_p(0, 0)


def test_unread_verdicts_are_bounds() -> None:
    """Ten pairs, two more that cannot be read: never left out without a word."""
    assert (pytest.approx(6.5 / 12), pytest.approx(8.5 / 12)) == bounds(Tally(5, 2, 1, 2), 2)
    assert (0.65, 0.65) == bounds(Tally(5, 2, 1, 2), 0)


def test_fewer_than_six_decided_pairs_show_nothing() -> None:
    assert (False, True) == (can_be_shown(5), can_be_shown(6))
    assert sign_p(5, 0) > 0.05 > sign_p(6, 0)


@given(counts, counts)
def test_the_test_of_signs_is_the_binomial_test(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert pytest.approx(expected) == sign_p(wins, losses)


@given(counts, counts, counts, counts)
def test_the_other_side_has_the_rest(wins: int, losses: int, ties: int, inconsistent: int) -> None:
    """What one side has not, the other has; the error is the plain one of 1, one half and 0."""
    mine, other = Tally(wins, losses, ties, inconsistent), Tally(losses, wins, ties, inconsistent)
    found, seen = score(mine), score(other)
    if found is None or seen is None:
        assert mine.n == 0
        return
    assert pytest.approx(1.0) == found.value + seen.value
    assert pytest.approx(found.interval.low) == 1.0 - seen.interval.high
    assert (mean(outcomes(mine)), standard_error(outcomes(mine))) == (found.value, found.se)
