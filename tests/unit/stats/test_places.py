"""Places in a long file are the same numbers, counted faster."""

from __future__ import annotations

import random

import pytest

from evalkit.stats.ranking import mann_whitney_p
from evalkit.stats.sequence import order


@pytest.mark.parametrize("n", [999, 1001, 2500])
@pytest.mark.parametrize("seed", range(3))
def test_a_long_file_has_the_p_of_mann_and_whitney(n: int, seed: int) -> None:
    """Of a category of one row, of a half and of some that stand rather late."""
    draw = random.Random(seed)
    labels = [draw.choices("abc", (n, n, place))[0] for place in range(n)]
    labels[draw.randrange(n)] = "d"
    found = order(labels)
    assert found is not None
    assert {place.label: place.position_p for place in found.places} == {
        label: pytest.approx(mann_whitney_p(range(n), [one == label for one in labels]), rel=1e-9) for label in "abcd"
    }
