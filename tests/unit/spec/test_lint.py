"""The arithmetic behind the warning about small samples."""

from __future__ import annotations

import pytest

from evalkit.spec.lint import wilson_half_width


@pytest.mark.parametrize(("n", "expected"), [(10, 0.263), (20, 0.201), (50, 0.134), (100, 0.096), (1000, 0.031)])
def test_half_width_of_wilson(n: int, expected: float) -> None:
    """Half widths of the interval around one half, from its textbook form (z²/4n² and the shrunken centre)."""
    z, p = 1.959963984540054, 0.5
    textbook = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
    assert textbook == pytest.approx(wilson_half_width(n), abs=1e-12)
    assert expected == pytest.approx(wilson_half_width(n), abs=5e-4)
