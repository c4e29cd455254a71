"""Agreement of two raters beyond chance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.agreement import agreement

verdicts = st.lists(st.tuples(st.sampled_from("wlt"), st.sampled_from("wlt")), min_size=1, max_size=60)


def test_a_table_of_four() -> None:
    """40, 5, 10, 45: observed .85, expected .50, kappa .70."""
    found = agreement([(1, 1)] * 40 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 45)
    assert found is not None
    assert (0.85, 0.5, 100) == (found.observed, found.expected, found.n)
    assert pytest.approx(0.7) == found.kappa
    assert found.kappa_interval is not None
    assert (0.5600, 0.8400) == tuple(round(end, 4) for end in found.kappa_interval)


def test_what_is_always_the_same_is_no_agreement() -> None:
    """Both say it always: they agree on everything, and nothing is known of how."""
    found = agreement([("t", "t")] * 9)
    assert found is not None
    assert (1.0, None, None) == (found.observed, found.kappa, found.kappa_interval)
    assert agreement([]) is None


def test_one_that_never_changes_its_mind_knows_nothing() -> None:
    found = agreement([("w", "w"), ("w", "l"), ("w", "l"), ("w", "t")])
    assert found is not None
    assert 0.0 == found.kappa


@given(verdicts)
def test_either_may_come_first(pairs: list[tuple[str, str]]) -> None:
    """And who agrees on all that differs has kappa 1."""
    one, other = agreement(pairs), agreement([(b, a) for a, b in pairs])
    assert one is not None
    assert other is not None
    assert one.kappa == (None if other.kappa is None else pytest.approx(other.kappa))
    full = agreement([(a, a) for a, _ in pairs])
    assert full is not None
    assert full.kappa in (None, 1.0)
