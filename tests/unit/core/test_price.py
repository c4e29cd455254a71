"""What answers cost: by tokens, by the hour, or unknown."""

from __future__ import annotations

import pytest

from evalkit.core.price import Price, Rate, Used

GPT4 = Price(30.0, 60.0)


@pytest.mark.parametrize(
    ("rate", "used", "expected"),
    [
        (Rate(GPT4), Used(1000, 500, 9.0), 0.06),
        (Rate(GPT4, hour=3.6), Used(1000, 500, 9.0), 0.06),  # who asks a price is not paid by the hour as well
        (Rate(GPT4, hour=3.6), Used(None, 500, 9.0), None),
        (Rate(hour=3.6), Used(1000, 500, 9.0), 0.009),
        (Rate(hour=3.6), Used(1000, 500, None), None),
        (Rate(), Used(1000, 500, 9.0), None),
        (Rate(Price(0.0, 0.0)), Used(1000, 500, 9.0), 0.0),
    ],
)
def test_what_is_not_known_is_never_nothing(rate: Rate, used: Used, expected: float | None) -> None:
    assert rate.usd(used) == (None if expected is None else pytest.approx(expected))


def test_a_ceiling_is_known_of_tokens_only() -> None:
    assert Rate(GPT4).at_most(1_000_000, 500_000) == 60.0
    assert Rate(hour=2.5).at_most(1000, 10) is None
    assert Rate(hour=2.5).at_most(0, 0) == 0.0
