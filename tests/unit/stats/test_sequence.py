"""Composition and order of a file of labels: counted by hand, scipy, every order listed."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evalkit.stats.ranking import mann_whitney_p
from evalkit.stats.sequence import Share, association, composition, order, runs_test

files = st.lists(st.sampled_from(["math", "code", "chat"]), min_size=1, max_size=60)


def test_composition() -> None:
    """The largest first, equal ones by name."""
    assert (Share("b", 3, 0.5), Share("a", 2, 2 / 6), Share("c", 1, 1 / 6)) == composition(list("babcab"))
    assert () == composition([])


def test_order_by_hand() -> None:
    """Twenty examples: ten of math, then code and chat in turn."""
    found = order(["math"] * 10 + ["code", "chat"] * 5)
    assert found is not None
    math_place, chat, code = found.places
    assert ("math", "chat", "code") == (math_place.label, chat.label, code.label)
    assert (20, 10, 5, 5) == (found.n, math_place.n, chat.n, code.n)
    assert 0.25 == math_place.mean_position
    assert code.mean_position == pytest.approx((10 + 12 + 14 + 16 + 18) / 5 / 20 + 0.5 / 20)
    assert (1.0,) * 5 + (0.0,) * 5 == math_place.parts
    assert (0.0,) * 5 + (0.5,) * 5 == code.parts == chat.parts
    assert (0.0, 2.0, 2.0) == (math_place.recency, chat.recency, code.recency)
    assert (10, 1, 1) == (math_place.longest_run, chat.longest_run, code.longest_run)
    assert math_place.position_p == pytest.approx(2 / math.comb(20, 10))
    assert 11 == found.runs.runs
    assert found.runs.expected == pytest.approx((20 * 21 - 150) / 20)


def test_other_parts_and_short_files() -> None:
    """Three parts of seven have 2, 2 and 3; of a file shorter than its parts some are empty, the last never."""
    found = order(list("aabbaab"), parts=3)
    assert found is not None
    assert (1.0, 0.0, 2 / 3) == found.places[0].parts
    assert 2 / 3 / (4 / 7) == found.places[0].recency
    short = order(list("ab"), parts=4)
    assert short is not None
    assert (None, 1.0, None, 0.0) == short.places[0].parts
    assert (0.0, 2.0) == (short.places[0].recency, short.places[1].recency)
    whole = order(list("aab"), parts=1)
    assert whole is not None
    assert [(2 / 3,), (1 / 3,)] == [place.parts for place in whole.places]
    assert order([]) is None
    with pytest.raises(ValueError, match="no 0 parts"):
        order(["a"], parts=0)


def test_one_category() -> None:
    """Every order is the same one: no p."""
    found = order(["a"] * 30)
    assert found is not None
    (place,) = found.places
    assert (0.5, (1.0,) * 10, 1.0, 30, None) == place[2:]
    assert (1, 1.0, None) == found.runs
    assert (5, 5.0, None) == runs_test(list("abcde"))
    assert (0, 0.0, None) == runs_test([])


@settings(max_examples=40)
@given(files)
def test_order_laws(labels: list[str]) -> None:
    """Positions weigh to one half, each part is shared out in full, and the file turned round is its mirror."""
    found, turned = order(labels), order(labels[::-1])
    assert found is not None
    assert turned is not None
    assert sum(place.n for place in found.places) == len(labels)
    assert sum(place.n * place.mean_position for place in found.places) / len(labels) == pytest.approx(0.5)
    for part in zip(*(place.parts for place in found.places), strict=True):
        assert part[0] is None or sum(part) == pytest.approx(1.0)
    assert found.runs.runs == turned.runs.runs == len(list(itertools.groupby(labels)))
    for place, mirror in zip(found.places, turned.places, strict=True):
        assert mirror.mean_position == pytest.approx(1 - place.mean_position)
        assert (place.longest_run, place.n) == (mirror.longest_run, mirror.n)
        assert 1 <= place.longest_run <= place.n
        if place.position_p is None:
            assert len(found.places) == 1
        else:
            assert mirror.position_p == pytest.approx(place.position_p)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=8).filter(lambda found: len(set(found)) > 1))
def test_expected_runs_are_the_mean_over_orders(labels: list[str]) -> None:
    """Every order, listed."""
    runs = [sum(1 for _ in itertools.groupby(found)) for found in itertools.permutations(labels)]
    assert runs_test(labels, shuffles=1).expected == pytest.approx(sum(runs) / len(runs))


def test_runs_p_against_every_order() -> None:
    """Eight labels: the share of orders as far from the expected runs, but for the draw."""
    labels = list("aaabbbcc")
    found = runs_test(labels)
    runs = [sum(1 for _ in itertools.groupby(other)) for other in itertools.permutations(labels)]
    far = sum(abs(count - found.expected) >= abs(3 - found.expected) - 1e-9 for count in runs) / len(runs)
    assert 3 == found.runs
    assert found.p == pytest.approx(far, abs=4 * math.sqrt(far / 10_000) + 2e-4)


def test_runs_of_two_categories_are_the_known_test() -> None:
    """Wald and Wolfowitz: mean 1 + 2mn/N and variance 2mn(2mn - N)/(N²(N-1))."""
    random = Random(12)
    labels = [random.choice("aab") for _ in range(150)]
    found, m, n = runs_test(labels), labels.count("a"), labels.count("b")
    mean = 1 + 2 * m * n / 150
    variance = 2 * m * n * (2 * m * n - 150) / (150**2 * 149)
    assert found.expected == pytest.approx(mean)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.runs - mean) / math.sqrt(variance)))


def test_normal_and_shuffled_agree() -> None:
    """The normal p of 101 labels is near what shuffling them gives, for three categories of unequal size."""
    random = Random(0)
    labels = [random.choice("aaaaabbc") for _ in range(101)]
    found = runs_test(labels)
    hits, times = 0, 4000
    for _ in range(times):
        runs = sum(1 for _ in itertools.groupby(random.sample(labels, 101)))
        hits += abs(runs - found.expected) >= abs(found.runs - found.expected) - 1e-9
    assert found.p == pytest.approx(hits / times, abs=0.06)  # runs come in whole numbers, the normal does not


def test_blocks_and_alternation_are_found() -> None:
    """A file in blocks, one that alternates, and one whose first half has most of one category."""
    blocks, turns = ["a"] * 300 + ["b"] * 300, ["a", "b"] * 300
    assert (runs_test(blocks).p or 0) < 1e-10
    assert (runs_test(turns).p or 0) < 1e-10
    assert (runs_test(blocks[290:310]).p or 0) < 0.01
    late = order(Random(2).sample(["a"] * 250 + ["b"] * 50, 300) + Random(3).sample(["a"] * 50 + ["b"] * 250, 300))
    assert late is not None
    assert all((place.position_p or 0) < 1e-6 for place in late.places)


@pytest.mark.parametrize("size", [24, 400])
def test_p_values_of_shuffled_files_are_even(size: int) -> None:
    """One in twenty is below .05: runs and positions alike."""
    random, below = Random(size), Counter[str]()
    times = 300
    for _ in range(times):
        labels = random.sample("ab" * (size // 4) + "c" * (size // 2), size)
        below["runs"] += (runs_test(labels, shuffles=200).p or 0) < 0.05
        below["position"] += (mann_whitney_p(range(size), [label == "a" for label in labels]) or 0) < 0.05
    assert all(count / times < 0.05 + 3 * math.sqrt(0.05 * 0.95 / times) for count in below.values())
    assert all(count / times > 0.05 - 3.5 * math.sqrt(0.05 * 0.95 / times) for count in below.values())


def test_association() -> None:
    """Over shared categories, with the exact p of five; what one side lacks is counted."""
    shares = {"math": 0.4, "code": 0.3, "chat": 0.2, "facts": 0.07, "logic": 0.03, "poems": 0.0}
    scores = {"math": 0.9, "code": 0.8, "chat": 0.7, "facts": 0.5, "logic": 0.6, "law": 0.1}
    found = association(shares, scores)
    assert found.value == pytest.approx(0.9)
    assert found.p == pytest.approx(10 / 120)  # identity and its four swaps of neighbours, and their mirrors
    assert (5, True, False, 2) == (found.n, found.exact, found.too_few, found.left_out)


def test_four_categories_are_too_few() -> None:
    """Even in perfect order: 2 of 24. Computed from the values, so ties count as well."""
    for n, too_few in ((0, True), (1, True), (3, True), (4, True), (5, False), (9, False), (12, False)):
        figures = {str(place): float(place) for place in range(n)}
        assert too_few is association(figures, figures).too_few
    six = {str(place): float(place) for place in range(6)}
    assert association(six, six | {"1": 0.0, "2": 0.0, "3": 0.0, "4": 0.0}).too_few  # one of six stands out: 2 of 6
    assert association(six, dict.fromkeys(six, 0.5)) == (None, None, 6, True, True, 0)
