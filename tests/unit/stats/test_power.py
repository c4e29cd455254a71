"""How many pairs a difference takes, and how large a difference some pairs can show."""

from __future__ import annotations

import math

import pytest

from evalkit.stats.power import detectable_difference, detectable_mean, pairs_to_see


@pytest.mark.parametrize(
    ("difference", "discordance", "pairs"), [(0.05, 0.2, 626), (0.05, 0.1, 312), (0.1, 0.3, 234), (0.03, 0.15, 1306)]
)
def test_pairs_of_yes_and_no(difference: float, discordance: float, pairs: int) -> None:
    """Connor's numbers, and back again: so many pairs show this difference and hardly a smaller one."""
    assert pairs == pairs_to_see(difference, discordance)
    found = detectable_difference(pairs, discordance)
    assert found is not None
    assert found <= difference < found * 1.01


@pytest.mark.parametrize(("between", "within", "seen"), [(1, 0, 0.0660), (1, 3, 0.1321), (1, 0.3, 0.0753)])
def test_means(between: float, within: float, seen: float) -> None:
    """Miller's example: 200 items of variance 1/9, alone, with a sampled answer on both sides, with ten."""
    variance = between / 9 + (within / 9 if within else 0.0)
    assert seen == round(detectable_mean(200, variance) or math.nan, 4)


def test_too_few_pairs_show_nothing() -> None:
    """However clear: five that all go one way are p = 0.0625, and of none nothing can be said."""
    assert (None, None, None) == (
        detectable_difference(5, 1.0), detectable_difference(50, 0.1), detectable_difference(50, 0.0)
    )  # fmt: skip
    assert detectable_mean(0, 0.25) is None


def test_more_pairs_show_less() -> None:
    """Fifty pairs of which four fifths are decided: 17 points of the score, which is half of this."""
    seen = [detectable_difference(n, 0.8) for n in (50, 200, 800)]
    assert [0.3461, 0.1761, 0.0885] == [round(one or 0.0, 4) for one in seen]


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="cannot come from"):
        pairs_to_see(0.3, 0.2)
