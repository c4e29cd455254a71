"""Subsets: exact size, fair to the strata, blind to the order of the rows, growing."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.tasks.sampling import allocate, draw

populations = st.dictionaries(st.text(max_size=6), st.sampled_from(["a", "b", "c", "d", ""]), min_size=1, max_size=80)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(populations, st.integers(1, 100), st.text(max_size=3))
def test_a_subset_has_its_size_and_keeps_the_data_order(strata: dict[str, str], n: int, seed: str) -> None:
    """Exactly n items, or all; each once; in the order of the data."""
    drawn = draw(strata, n, seed=seed, task="t")
    assert min(n, len(strata)) == len(drawn)
    assert [item for item in strata if item in set(drawn)] == drawn


@given(populations, st.integers(1, 80), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(strata: dict[str, str], n: int, rng: random.Random) -> None:
    """A shuffled file gives the same items."""
    shuffled = list(strata.items())
    rng.shuffle(shuffled)
    expected = set(draw(strata, n, seed="1", task="t"))
    assert expected == set(draw(dict(shuffled), n, seed="1", task="t"))


@given(populations, st.integers(1, 80))
def test_every_stratum_has_its_share_rounded_down_or_up(strata: dict[str, str], n: int) -> None:
    """The quota rule, on drawn items."""
    drawn = Counter(strata[item] for item in draw(strata, n, seed="7", task="t"))
    for stratum, size in Counter(strata.values()).items():
        share = Fraction(min(n, len(strata)) * size, len(strata))
        assert floor(share) <= drawn[stratum] <= ceil(share)


@given(populations, st.integers(1, 79))
def test_a_larger_subset_contains_the_smaller(strata: dict[str, str], n: int) -> None:
    """Raising n throws away nothing that was measured."""
    smaller, larger = (set(draw(strata, count, seed="7", task="t")) for count in (n, n + 1))
    assert smaller <= larger


@settings(max_examples=300)
@given(sizes, st.data())
def test_seats_follow_the_quota(strata: list[int], data: st.DataObject) -> None:
    """All seats are given, each stratum within one of its share, never more than it has, and never fewer later."""
    n = data.draw(st.integers(1, sum(strata)))
    seats, more = allocate(strata, n), allocate(strata, min(n + 1, sum(strata)))
    assert n == sum(seats)
    for size, given_seats, later in zip(strata, seats, more, strict=True):
        share = Fraction(n * size, sum(strata))
        assert floor(share) <= given_seats <= min(ceil(share), size)
        assert given_seats <= later


def test_seats_of_a_case_worked_by_hand() -> None:
    """60, 30 and 10 of 100: ten seats are exactly 6, 3 and 1."""
    assert allocate([60, 30, 10], 10) == [6, 3, 1]


def test_many_strata_are_quick() -> None:
    """A stratum for every item degenerates to a plain subset, in n log n."""
    seats = allocate([1] * 50_000, 20_000)
    assert (20_000, {0, 1}) == (sum(seats), set(seats))


def test_seeds_and_tasks_draw_differently() -> None:
    """Two seeds, or two tasks with the same ids, do not share their luck."""
    strata = {str(number): "" for number in range(200)}
    subsets = {
        tuple(draw(strata, 50, seed=seed, task=task)) for seed in ("0.0", "0.1", "1.0") for task in ("gsm8k", "mmlu")
    }
    assert len(subsets) == 6


def test_the_choice_is_the_same_on_every_machine_and_not_the_head() -> None:
    """The chosen ids of a fixed case, written down: a change of the rule breaks every lock file."""
    strata = {f"q{number}": "odd" if number % 2 else "even" for number in range(20)}
    drawn = draw(strata, 6, seed="0.0", task="arithmetic")
    assert drawn == ["q2", "q4", "q7", "q10", "q11", "q15"]
    assert [f"q{number}" for number in range(6)] != drawn


def test_nothing_cannot_be_drawn() -> None:
    """A subset of no items is a mistake."""
    with pytest.raises(ValueError, match="at least one item"):
        draw({"a": ""}, 0, seed="", task="t")
