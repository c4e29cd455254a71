"""Several tests at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.multiple import holm
from evalkit.stats.paired import mcnemar_exact

PS = st.lists(st.floats(0.0, 1.0), max_size=12)


def test_six_categories() -> None:
    """Worked case: exact sign tests of wins and losses in six categories."""
    ps = [mcnemar_exact(*counts) for counts in ((45, 5), (43, 7), (33, 7), (2, 1), (24, 16), (3, 12))]
    assert ps == pytest.approx([4.21e-9, 2.10e-7, 0.000042, 1.0, 0.268187, 0.035156], rel=1e-2)
    expected = [2.53e-8, 1.05e-6, 0.000169, 1.0, 0.536375, 0.105469]
    assert holm(ps) == pytest.approx(expected, rel=5e-3)


def test_one_and_none() -> None:
    """A single test stays as it is."""
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_no_p_falls_below_a_smaller_one() -> None:
    """The second of 0.01, 0.011 and 0.04 is doubled, but not below the first, which is tripled."""
    assert holm([0.04, 0.01, 0.011]) == pytest.approx([0.04, 0.03, 0.03])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([1.5])


@given(PS)
def test_between_the_p_and_bonferroni(ps: list[float]) -> None:
    """Never more eager than the p itself, never stricter than times m; the order of the ps stays."""
    adjusted = holm(ps)
    assert all(p <= one <= min(1.0, len(ps) * p) for p, one in zip(ps, adjusted, strict=True))
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)
