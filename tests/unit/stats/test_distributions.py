"""Quantiles against scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from evalkit.stats.distributions import beta_cdf, beta_quantile, t_quantile

shapes = st.floats(0.5, 500)


@given(st.floats(0, 0.999999), shapes, shapes)
def test_beta_cdf(x: float, a: float, b: float) -> None:
    """The continued fraction agrees with scipy's."""
    assert beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-12)


@given(st.floats(0.001, 0.999), shapes, shapes)
def test_beta_quantile(p: float, a: float, b: float) -> None:
    """The quantile is the inverse of the distribution."""
    assert beta_quantile(p, a, b) == pytest.approx(special.betaincinv(a, b, p), rel=1e-8)


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 29, 119, 999, 100_000])
@pytest.mark.parametrize("p", [0.025, 0.5, 0.9, 0.975, 0.9995])
def test_t_quantile(p: float, freedom: int) -> None:
    """Student's t, from very heavy tails to nearly normal."""
    assert t_quantile(p, freedom) == pytest.approx(stats.t.ppf(p, freedom), rel=1e-9, abs=1e-12)
