"""pass@k against exact fractions."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest

from evalkit.stats.passk import pass_at_k

_CASES = Path(__file__).parents[3].resolve().parent / "shared" / "data" / "golden" / "passk_examples" / "cases.jsonl"


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(6, 3, 1, 0.5), (5, 1, 2, 0.4), (4, 2, 3, 1.0), (4, 4, 4, 1.0), (4, 0, 4, 0.0), (1000, 1, 999, 0.999)],
)
def test_pass_at_k(n: int, c: int, k: int, expected: float) -> None:
    """Worked by hand; once fewer than k answers failed, every draw of k holds one that passed."""
    assert expected == pass_at_k(n, c, k)


def test_it_is_the_share_of_draws() -> None:
    """The estimate is the share of all k-subsets that hold a pass."""
    answers = [True, True, False, False, False, False, False]
    for k in range(1, 8):
        draws = [any(draw) for draw in itertools.combinations(answers, k)]
        assert sum(draws) / len(draws) == pytest.approx(pass_at_k(7, 2, k), abs=1e-15)


def test_large_numbers_neither_overflow_nor_round_away() -> None:
    """A product of floats would lose the last digits here."""
    expected = -math.expm1(sum(math.log1p(-2000 / (10_000 - i)) for i in range(5)))
    assert pass_at_k(10_000, 5, 2000) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1), (0, 0, 1)])
def test_undefined(n: int, c: int, k: int) -> None:
    """Fewer answers than k say nothing about k answers."""
    with pytest.raises(ValueError, match="answers"):
        pass_at_k(n, c, k)


def test_recorded_cases() -> None:
    """149 cases as exact fractions, rounded once."""
    if not _CASES.is_file():
        pytest.skip(f"{_CASES} is not there")
    cases = [json.loads(line) for line in _CASES.read_text("utf-8").splitlines()]
    assert len(cases) == 149
    assert [case["value"] for case in cases] == [pass_at_k(case["n"], case["c"], case["k"]) for case in cases]
