"""How numbers look, on the page and on the screen."""

from __future__ import annotations

import pytest

from evalkit.report import numbers


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.pct(28 / 120), "23.3 %"),
        (numbers.pct(0.0), "0.0 %"),
        (numbers.pct(1.0), "100.0 %"),
        (numbers.pct(None), "–"),
        (numbers.interval((0.16667, 0.31578)), "16.7 to 31.6 %"),
        (numbers.interval(None), "–"),
        (numbers.points(0.0744), "7.4 points"),
        (numbers.points_range((-0.2667, -0.0086)), "-26.7 to -0.9 points"),
        (numbers.points_range(None), "–"),
        (numbers.number(0.8909), "0.891"),
        (numbers.number(3.0), "3"),
        (numbers.number(1234.6), "1,235"),
        (numbers.number(7.07e-17), "0"),
        (numbers.number(-7.07e-17), "0"),
        (numbers.number(0.0001234), "0.000123"),
        (numbers.number(None), "–"),
        (numbers.p(0.0654), "0.065"),
        (numbers.p(0.0002), "< 0.001"),
        (numbers.p(1.0), "1.000"),
        (numbers.p(None), "–"),
        (numbers.span((0.647, 1.0)), "0.647 to 1"),
        (numbers.span(None), "–"),
        (numbers.count(1234567), "1,234,567"),
        (numbers.count(None), "–"),
        (numbers.of(28, 1200), "28 of 1,200"),
        (numbers.seconds(0.04), "0.0 s"),
        (numbers.seconds(59.94), "59.9 s"),
        (numbers.seconds(59.96), "1 min 00 s"),
        (numbers.seconds(125), "2 min 05 s"),
        (numbers.seconds(3599.4), "59 min 59 s"),
        (numbers.seconds(3599.6), "1 h 00 min"),
        (numbers.seconds(3780), "1 h 03 min"),
        (numbers.seconds(None), "–"),
        (numbers.limits_s((10.0, 10.0)), "10 s"),
        (numbers.limits_s((0.5, 2.5)), "0.5 to 2.5 s"),
        (numbers.limits_s((1.0, 3600.0)), "1 to 3,600 s"),
        (numbers.limits_s(None), "–"),
        (numbers.rate(81.27), "81.3"),
        (numbers.rate(99.96), "100"),
        (numbers.rate(12345.6), "12,346"),
        (numbers.usd(0.11 / 14), "$0.0079"),
        (numbers.usd(0.17 / 14), "$0.012"),
        (numbers.usd(12.3), "$12.30"),
        (numbers.usd(0.0), "$0.00"),
        (numbers.usd(None), "unknown"),
        (numbers.amount(1250.0), "1,250"),
        (numbers.amount(12.25), "12.2"),
        (numbers.plural(1, "item"), "1 item"),
        (numbers.plural(1200, "item"), "1,200 items"),
    ],
)
def test_numbers(shown: str, expected: str) -> None:
    """One figure, rounded once."""
    assert expected == shown


def test_per_is_not_defined_for_nothing() -> None:
    """Nothing divided by something unknown, or by zero, is unknown."""
    assert numbers.per(6.0, 3) == 2.0
    assert numbers.per(None, 3) is None
    assert numbers.per(6.0, 0) is None
    assert numbers.per(6.0, None) is None
