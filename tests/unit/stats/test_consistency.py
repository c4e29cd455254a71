"""Agreement of answers: worked by hand, and laws that hold for any counts."""

from __future__ import annotations

import itertools
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.consistency import effective_number, entropy, modal_rate, pairwise_agreement

counts = st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda found: sum(found) >= 2)


def test_ten_answers() -> None:
    """Six, three and one alike of ten."""
    assert 0.6 == modal_rate([6, 3, 1])
    assert 0.4 == pairwise_agreement([6, 3, 1])
    assert entropy([6, 3, 1]) == pytest.approx(0.897946, abs=5e-7)
    assert effective_number([6, 3, 1]) == pytest.approx(2.173913, abs=5e-7)


def test_nothing_and_one() -> None:
    """No answers, no number; one answer has no pair."""
    for figure in (modal_rate, pairwise_agreement, entropy, effective_number):
        assert figure([]) is None
        assert figure([0, 0]) is None
        with pytest.raises(ValueError, match="-1 is no count"):
            figure([2, -1])
    assert pairwise_agreement([1]) is None
    assert (0.0, 1.0) == (pairwise_agreement([1, 1]), pairwise_agreement([2]))
    assert (1.0, 0.0, 1.0) == (modal_rate([1]), entropy([1]), effective_number([1]))


@given(counts, st.randoms(use_true_random=False))
def test_laws(found: list[int], random: Random) -> None:
    """Bounds, no meaning in the order, and answers that nobody gave do not count."""
    shuffled = [*random.sample(found, len(found)), 0]
    kinds = sum(count > 0 for count in found)
    figures = [figure(found) for figure in (modal_rate, pairwise_agreement, entropy, effective_number)]
    again = [figure(shuffled) for figure in (modal_rate, pairwise_agreement, entropy, effective_number)]
    assert figures == again
    modal, agreement, spread, number = figures
    assert modal is not None
    assert agreement is not None
    assert spread is not None
    assert number is not None
    assert 1 / kinds <= modal <= 1.0
    assert 0.0 <= agreement <= modal
    assert -1e-12 <= spread <= math.log(kinds) + 1e-12
    assert 1.0 <= number <= kinds + 1e-12
    assert number <= math.exp(spread) + 1e-9  # Hill's numbers fall with their order


@given(counts)
def test_entropy_against_scipy(found: list[int]) -> None:
    """scipy's entropy, in nats as well."""
    assert entropy(found) == pytest.approx(float(stats.entropy(found)), abs=1e-12)


def test_agreement_is_that_of_pairs() -> None:
    """Every pair of answers, one by one."""
    answers = "AAAABBBC"
    pairs = [a == b for a, b in itertools.combinations(answers, 2)]
    assert sum(pairs) / len(pairs) == pairwise_agreement([4, 3, 1])


def test_agreement_does_not_depend_on_how_many_are_asked() -> None:
    """On average over draws of four from a population it is what two answers would do; the modal rate is not."""
    random, agreements, modal = Random(5), [], []
    for _ in range(4000):
        drawn = random.choices("ABC", (0.6, 0.3, 0.1), k=4)
        tally = [drawn.count(letter) for letter in "ABC"]
        agreements.append(pairwise_agreement(tally))
        modal.append(modal_rate(tally))
    assert sum(filter(None, agreements)) / 4000 == pytest.approx(0.46, abs=0.015)  # SE .0046
    assert sum(filter(None, modal)) / 4000 > 0.63
