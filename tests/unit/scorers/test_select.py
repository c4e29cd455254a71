"""Selectors: what each ranks by, and that only the oracle is told a verdict."""

from __future__ import annotations

import pytest

from evalkit.core import registry
from evalkit.core.selection import Candidate, Valued
from evalkit.core.types import Completion, Json, Message, Prompt, Sample, Score

ASKED = Sample("t", "1", "c", "test", {}, Prompt((Message("user", "What?"),)), {})


def completion(text: str, **known: Json) -> Completion:
    return Completion("k", text, "stop", None, "0" * 64, **known)


def values(name: str, candidates: list[Candidate], options: dict[str, Json] | None = None) -> list[float | None]:
    return [one.value for one in valued(name, candidates, options)]


def valued(name: str, candidates: list[Candidate], options: dict[str, Json] | None = None) -> list[Valued]:
    found: list[Valued] = registry.load("selectors", name)(options or {}).values(ASKED, candidates)
    return found


def written(*texts: str) -> list[Candidate]:
    return [Candidate(index, completion(text), answer=text or None) for index, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first", [None, None, None]),
        ("random", [None, None, None]),
        ("shortest", [-3.0, -1.0, -2.0]),
        ("longest", [3.0, 1.0, 2.0]),
    ],
)
def test_by_place_and_length(name: str, expected: list[float | None]) -> None:
    """A place is no value: which of equal candidates is taken is the tie's rule."""
    assert values(name, written("abc", "a", "ab")) == expected


def test_majority_counts_equal_answers() -> None:
    """The worked case of self-consistency: 3, 2 and 1 votes; no answer is no vote, and two of them are no majority."""
    assert values("majority", written("A", "B", "A", "C", "A", "B", "", "")) == [3, 2, 3, 1, 3, 2, 0, 0]


def test_log_probability_is_over_all_tokens_of_all_turns() -> None:
    """A turn of 30 tokens counts three times as much as one of 10; what is unknown has no value."""
    turns = Candidate(
        0,
        completion("b", mean_logprob=-0.2, completion_tokens=10),
        (completion("a", mean_logprob=-1.0, completion_tokens=30),),
    )
    alone = Candidate(1, completion("b", mean_logprob=-0.3))
    unknown = Candidate(2, completion("b", mean_logprob=-0.2, completion_tokens=1), (completion("a"),))
    never = Candidate(3, completion("b"))
    assert values("logprob", [turns, alone, unknown, never]) == [pytest.approx(-0.8), -0.3, None, None]
    assert [one.reason for one in valued("logprob", [unknown, never])] == [
        "the log-probability of a turn is not known",
        "its log-probability is not known",
    ]


def test_reward_is_what_was_recorded() -> None:
    """Below zero is a value, none is none."""
    rows = [Candidate(0, completion("a", reward=-2.5)), Candidate(1, completion("a"))]
    assert values("reward", rows) == [-2.5, None]


def test_the_oracle_ranks_failures_by_their_tests() -> None:
    """A pass is above every failure, also above one that fails the last of a million tests."""
    scores = [
        Score("fail", 0.0, tests_passed=999_999, tests_total=1_000_000),
        Score("pass", 1.0, tests_passed=3, tests_total=3),
        Score("fail", 0.0, tests_passed=0, tests_total=3),
        Score("fail", 0.0, tests_passed=2, tests_total=3),
        Score("void", None, reason="sandbox: gone"),
    ]
    found = values("tests", [Candidate(index, completion("x"), score=score) for index, score in enumerate(scores)])
    assert found[4] is None
    ranked = sorted(range(4), key=lambda place: -(found[place] or 0.0))
    assert ranked == [1, 0, 3, 2]
    assert found[1] == 1.0


def test_a_rubric_gives_points_and_says_for_what() -> None:
    """The share of the points, criterion by criterion."""
    options: dict[str, Json] = {
        "criteria": [
            {"name": "short", "points": 30, "check": {"max_words": 2}},
            {"name": "polite", "points": 10, "check": {"contains": ["please"]}},
        ]
    }
    first, second = valued("rubric", written("please do so now", "do it"), options)
    assert (first.value, second.value) == (0.25, 0.75)
    assert {name: given.points for name, given in second.criteria.items()} == {"short": 30.0, "polite": 0.0}


def test_who_is_an_oracle() -> None:
    """The verdict is for one selector alone."""
    oracles = [name for name in registry.names("selectors") if name not in ("rubric", "judge") and _make(name).oracle]
    assert oracles == ["tests"]


def _make(name: str) -> Json:
    return registry.load("selectors", name)({})
