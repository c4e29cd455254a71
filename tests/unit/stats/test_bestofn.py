"""What a selector gains: worked by hand, every way to pick listed, laws, and a published run of eight candidates."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.stats.bestofn import (
    efficiency,
    oracle_rate,
    random_pick_p,
    random_rate,
    selected_rate,
    selection_gains,
    selection_p,
    worst_rate,
)
from evalkit.stats.paired import sign_flip_p
from evalkit.stats.passk import maj_at_k, pass_at_k
from evalkit.stats.ranking import auc, within_auc, within_auc_permutation_p

_GOLDEN = Path(__file__).parents[3].resolve().parent / "shared/data/golden/math_cot_bestof8"
_GROUPS = [[True, False, False], [True, True, True], [False, False, False], [False, True, True]]
picked = st.lists(
    st.lists(st.booleans(), min_size=1, max_size=4).flatmap(
        lambda group: st.tuples(st.just(group), st.integers(0, len(group) - 1))
    ),
    min_size=1,
    max_size=5,
)


def test_worked_by_hand() -> None:
    """Four groups, of which two are mixed; the rubric finds both passes."""
    picks = [0, 0, 1, 2]
    assert 0.5 == random_rate(_GROUPS)
    assert 0.75 == selected_rate(_GROUPS, picks)
    assert 0.75 == oracle_rate(_GROUPS)
    assert 0.25 == worst_rate(_GROUPS)
    assert 1.0 == efficiency(_GROUPS, picks)
    assert selection_gains(_GROUPS, picks) == pytest.approx([2 / 3, 0, 0, 1 / 3])
    assert 0.5 == selection_p(_GROUPS, picks)  # two gains, both upwards: 2 of 4 choices of signs
    assert random_pick_p(_GROUPS, picks) == pytest.approx(4 / 9)  # 0 or 2 passes: (2/3)(1/3) + (1/3)(2/3)


def test_nothing_to_select() -> None:
    """Where no group is mixed, efficiency and p are not 0 or 1, they are not there."""
    groups = [[True, True], [False, False, False]]
    assert efficiency(groups, [1, 2]) is None
    assert selection_p(groups, [1, 2]) is None
    assert random_pick_p(groups, [1, 2]) is None
    assert 0.5 == random_rate(groups) == selected_rate(groups, [1, 2]) == oracle_rate(groups) == worst_rate(groups)
    assert random_rate([]) is None
    assert selected_rate([], []) is None
    assert efficiency([], []) is None


def test_mistakes_of_the_caller() -> None:
    """A group without candidates, a pick that is not there, a group without a pick."""
    with pytest.raises(ValueError, match="no candidates"):
        random_rate([[True], []])
    for pick in (2, -1):
        with pytest.raises(ValueError, match=f"no candidate {pick} among 2"):
            selected_rate([[True, False]], [pick])
    with pytest.raises(ValueError):
        efficiency([[True, False]], [])


@given(picked)
def test_laws(chosen: list[tuple[list[bool], int]]) -> None:
    """The worst pick is below the random and the selected, the oracle above; efficiency is where between."""
    groups, picks = [group for group, _ in chosen], [pick for _, pick in chosen]
    worst, rate, selected, oracle = (
        worst_rate(groups),
        random_rate(groups),
        selected_rate(groups, picks),
        oracle_rate(groups),
    )
    assert worst is not None
    assert rate is not None
    assert selected is not None
    assert oracle is not None
    assert 0.0 <= worst <= rate + 1e-12
    assert rate - 1e-12 <= oracle <= 1.0
    assert worst <= selected <= oracle
    found = efficiency(groups, picks)
    if all(len(set(group)) == 1 for group in groups):
        assert found is None
    else:
        assert found is not None
        assert rate + found * (oracle - rate) == pytest.approx(selected)
    best = [group.index(True) if True in group else 0 for group in groups]
    assert efficiency(groups, best) in (None, pytest.approx(1.0))
    gains = selection_gains(groups, picks)
    assert selection_p(groups, picks) == (sign_flip_p(gains) if any(gains) else None)


@settings(max_examples=50)
@given(picked)
def test_random_pick_p_is_the_share_of_picks(chosen: list[tuple[list[bool], int]]) -> None:
    """Every way to pick, listed."""
    groups, picks = [group for group, _ in chosen], [pick for _, pick in chosen]
    expected = len(groups) * (random_rate(groups) or 0.0)
    passes = [sum(verdicts) for verdicts in itertools.product(*groups)]
    seen = sum(group[pick] for group, pick in chosen)
    far = [abs(count - expected) >= abs(seen - expected) - 1e-9 for count in passes]
    p = random_pick_p(groups, picks)
    assert p == (pytest.approx(sum(far) / len(far)) if any(len(set(group)) == 2 for group in groups) else None)


@pytest.mark.skipif(not _GOLDEN.is_dir(), reason="the published rewards of ../shared/data are not here")
def test_a_published_run() -> None:
    """50 problems, eight candidates each, picked by a reward model: the published rates, and why they say little."""
    expected = json.loads((_GOLDEN / "expected.json").read_text("utf-8"))
    with gzip.open(_GOLDEN / "samples.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    groups = [row["correct"] for row in rows]
    picks = [max(range(8), key=row["reward"].__getitem__) for row in rows]
    assert random_rate(groups) == pytest.approx(expected["mean_accuracy_of_8"])
    assert selected_rate(groups, picks) == pytest.approx(expected["best_of_8_by_reward"])
    assert selected_rate(groups, [0] * 50) == pytest.approx(expected["first_sample"])
    assert oracle_rate(groups) == pytest.approx(expected["pass_at_8_oracle"])
    votes = [maj_at_k(row["answers"], row["correct"], 8) for row in rows]
    assert sum(votes) / 50 == pytest.approx(expected["majority_of_8"])
    for k, value in expected["pass_at_k"].items():
        assert sum(pass_at_k(8, sum(group), int(k)) for group in groups) / 50 == pytest.approx(value)
    found = within_auc([list(zip(row["reward"], row["correct"], strict=True)) for row in rows])
    assert (expected["problems_mixed_correctness"], 50) == (found.mixed, found.groups)
    assert found.pairs == sum(sum(group) * (8 - sum(group)) for group in groups)
    # The rewards rank well within the four mixed problems; picking by them gained too little there to tell from chance.
    assert efficiency(groups, picks) == pytest.approx(0.0225 / 0.0425)
    assert selection_p(groups, picks) == 6 / 16
    assert found.value == pytest.approx(49 / 55)
    p = within_auc_permutation_p([list(zip(row["reward"], row["correct"], strict=True)) for row in rows])
    assert p is not None
    assert p < 0.001
    pooled = auc([score for row in rows for score in row["reward"]], [right for group in groups for right in group])
    assert pooled is not None
    assert pooled > found.value  # it also tells the easy problems from the hard ones
