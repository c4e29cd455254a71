"""pass@k, pass^k and maj@k against exact fractions, worked values and every choice of k answers."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.passk import maj_at_k, pass_at_k, pass_hat_k

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


@pytest.mark.parametrize(
    ("n", "c", "k", "at", "hat"),
    [
        (5, 2, 1, 0.4, 0.4),
        (5, 2, 2, 0.7, 0.1),
        (5, 2, 3, 0.9, 0.0),
        (3, 0, 2, 0.0, 0.0),
        (3, 3, 2, 1.0, 1.0),
    ],
)
def test_worked_values(n: int, c: int, k: int, at: float, hat: float) -> None:
    """One of k, and all of k."""
    assert (at, hat) == (pass_at_k(n, c, k), pass_hat_k(n, c, k))


def test_worked_values_rounded() -> None:
    """To six digits; over items it is the mean."""
    assert pass_at_k(10, 3, 5) == pytest.approx(0.916667, abs=5e-7)
    assert pass_at_k(200, 10, 100) == pytest.approx(0.999229, abs=5e-7)
    assert sum(pass_at_k(4, c, 2) for c in (0, 1, 2, 4)) / 4 == pytest.approx(0.583333, abs=5e-7)
    assert 1 - (1 - 2 / 5) ** 2 == pytest.approx(0.64)  # what plugging in the share would give instead of .7


@pytest.mark.parametrize(("n", "c", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1), (0, 0, 1)])
def test_all_of_k_undefined(n: int, c: int, k: int) -> None:
    """As for pass@k."""
    with pytest.raises(ValueError, match="answers"):
        pass_hat_k(n, c, k)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_k_laws(counts: tuple[int, int]) -> None:
    """More tries never hurt one of k nor help all of k; equal at one; mirrored where passes and fails change sides."""
    n, c = counts
    at = [pass_at_k(n, c, k) for k in range(1, n + 1)]
    hat = [pass_hat_k(n, c, k) for k in range(1, n + 1)]
    assert at == sorted(at)
    assert hat == sorted(hat, reverse=True)
    assert at[0] == hat[0] == c / n
    assert [1 - value for value in hat] == pytest.approx([pass_at_k(n, n - c, k) for k in range(1, n + 1)])


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_both_are_shares_of_draws(answers: list[bool]) -> None:
    """Every choice of k, one by one."""
    for k in range(1, len(answers) + 1):
        draws = list(itertools.combinations(answers, k))
        assert sum(map(any, draws)) / len(draws) == pytest.approx(pass_at_k(len(answers), sum(answers), k))
        assert sum(map(all, draws)) / len(draws) == pytest.approx(pass_hat_k(len(answers), sum(answers), k))


def test_a_vote_worked_by_hand() -> None:
    """A, A, B, B, C with A right and three votes: 3 of 10 choices are AA_, 3 BB_, 4 ABC; 3 + 4/3 of 10."""
    assert maj_at_k("AABBC", [True, True, False, False, False], 3) == pytest.approx(0.433333, abs=5e-7)


def test_votes_that_are_known() -> None:
    """One vote is the mean; all votes are the mode; blanks never win unless alone."""
    right = [True, False, False, True, False]
    assert 0.4 == maj_at_k("ABCAB", right, 1)
    assert 0.5 == maj_at_k("ABCAB", right, 5)
    assert 1.0 == maj_at_k(["A", None, None, None], [True, False, False, False], 4)
    assert 0.25 == maj_at_k(["A", None, None, None], [True, False, False, False], 1)
    assert 0.0 == maj_at_k([None, None], [False, False], 2)
    assert 0.5 == maj_at_k(["A", "A"], [True, False], 2)  # judged differently: their mean
    for k in (0, 3):
        with pytest.raises(ValueError, match="maj@"):
            maj_at_k("AB", [True, False], k)


@given(st.lists(st.tuples(st.sampled_from([None, "A", "B", "C", "D"]), st.booleans()), min_size=1, max_size=8))
def test_a_vote_is_the_mean_over_choices(judged: list[tuple[str | None, bool]]) -> None:
    """Every choice of k, one by one, whatever the verdicts and blanks are."""
    answers, right = [answer for answer, _ in judged], [passed for _, passed in judged]
    for k in range(1, len(judged) + 1):
        votes = [_vote([answers[i] for i in places], answers, right) for places in _choices(len(judged), k)]
        assert maj_at_k(answers, right, k) == pytest.approx(sum(votes) / len(votes), abs=1e-12)


def _choices(n: int, k: int) -> Iterable[tuple[int, ...]]:
    return itertools.combinations(range(n), k)


def _vote(chosen: list[str | None], answers: list[str | None], right: list[bool]) -> float:
    votes = Counter(answer for answer in chosen if answer is not None) or Counter(chosen)
    winners = [answer for answer, count in votes.items() if count == max(votes.values())]
    verdicts = [[passed for other, passed in zip(answers, right, strict=True) if other == winner] for winner in winners]
    return sum(sum(found) / len(found) for found in verdicts) / len(winners)


@given(st.lists(st.sampled_from("ABC"), min_size=2, max_size=40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_vote_laws(answers: list[str], k: int, random: Random) -> None:
    """In [0, 1], the same in any order, and over all answers that could be right the votes share one whole."""
    k = min(k, len(answers))
    shares = [maj_at_k(answers, [answer == gold for answer in answers], k) for gold in "ABC"]
    assert sum(shares) == pytest.approx(1.0)
    shuffled = random.sample(answers, len(answers))
    assert shares[0] == maj_at_k(shuffled, [answer == "A" for answer in shuffled], k)


def test_large_votes_are_exact() -> None:
    """120 against 80 of 200: the chance of more than 25 of 51 is a hypergeometric tail."""
    answers = ["A"] * 120 + ["B"] * 80
    expected = stats.hypergeom(200, 120, 51).sf(25)
    assert maj_at_k(answers, [answer == "A" for answer in answers], 51) == pytest.approx(expected, rel=1e-9)
