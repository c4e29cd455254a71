"""Verdicts of pairs: from games, and of several judges together."""

from __future__ import annotations

import pytest

from evalkit.core.verdicts import Game, Said, Verdict, majority_of, verdict_of


@pytest.mark.parametrize(
    ("swapped", "said", "expected"),
    [
        (False, "first", "win"),
        (False, "second", "loss"),
        (True, "first", "loss"),
        (True, "second", "win"),
        (True, "tie", "tie"),
        (False, None, "invalid"),
    ],
)
def test_a_game_is_told_from_the_player(swapped: bool, said: Said | None, expected: Verdict) -> None:
    assert Game(swapped, said).verdict == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("first", "second", "win"),
        ("second", "first", "loss"),
        ("tie", "tie", "tie"),
        ("first", "first", "inconsistent"),
        ("first", "tie", "inconsistent"),
        ("first", None, "invalid"),
    ],
)
def test_two_orders_must_agree(first: Said | None, second: Said | None, expected: Verdict) -> None:
    assert verdict_of([Game(False, first), Game(True, second)]) == expected


def test_a_game_that_never_came_is_void_and_none_is_too() -> None:
    assert verdict_of([Game(False, None, void=True), Game(True, None)]) == "void"
    assert verdict_of([]) == "void"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["win", "win", "loss"], "win"),
        (["win", "loss"], "inconsistent"),
        (["win", "tie", "loss"], "inconsistent"),
        (["win", "invalid", "void"], "void"),
        (["win", "invalid"], "invalid"),
        (["win", "loss", "invalid"], "invalid"),
        (["win", "win", "invalid"], "win"),
        (["tie"], "tie"),
        (["invalid", "invalid", "win"], "invalid"),
    ],
)
def test_a_panel_needs_more_than_half(verdicts: list[Verdict], expected: Verdict) -> None:
    assert majority_of(verdicts) == expected
