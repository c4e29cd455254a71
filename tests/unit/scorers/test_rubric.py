"""Weighted criteria: what each gives, what they add up to, and rubrics that are wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Contribution, Message, Prompt, Sample, Score
from evalkit.scorers.python_facts import FACTS, facts
from evalkit.scorers.rubric import RubricScorer
from evalkit.scorers.rubric_answer import Answer
from evalkit.scorers.rubric_checks import make

SAMPLE = Sample("t", "1", "t", "test", {}, Prompt(text="?"), {})
CAREFUL = [
    {"name": "returns", "points": 20, "check": "python.has_return"},
    {"name": "typed", "points": 20, "check": "python.fully_annotated"},
    {"name": "edges", "points": 30, "check": {"regex": r"\b(None|len\(|== 0|if not)"}},
    {"name": "short", "points": 30, "check": {"max_lines": 5}},
]


def rubric(text: str, criteria: list[dict[str, Any]] = CAREFUL) -> Score:
    scorer = RubricScorer({"criteria": criteria})
    scorer.check(SAMPLE)
    return scorer.score(SAMPLE, Completion("k", text, "stop", None, ""), None)


def test_what_the_prompt_began_belongs_to_the_program() -> None:
    """And to a JSON value; length and patterns are those of what the model wrote."""
    program = [{"name": "returns", "points": 1, "check": "python.has_return"}]
    short = [{"name": "short", "points": 1, "check": {"max_lines": 1}}]
    value = [{"name": "shape", "points": 1, "check": {"json_schema": {"type": "object"}}}]

    def begun(prefill: str, text: str, wanted: list[dict[str, Any]]) -> float | None:
        sample = replace(SAMPLE, prompt=Prompt((Message("user", "?"), Message("assistant", prefill))))
        completion = Completion("k", text, "stop", None, "0")
        return RubricScorer({"criteria": wanted}).score(sample, completion, None).value

    assert 1.0 == begun("```python\ndef f(x):\n", "    return x\n```", program)
    assert 1.0 == begun("a\nb\nc\n", "d", short)
    assert 1.0 == begun("{", '"a": 1}', value)


def test_points_add_up_and_each_criterion_is_told() -> None:
    """50 of 100 points: the program returns and is short, and is neither typed nor careful."""
    score = rubric("Here:\n\n```python\ndef f(x):\n    return x + 1\n```\n")
    assert ("score", 0.5, None) == (score.outcome, score.value, score.error_class)
    untyped, careless = "not every parameter and result is annotated", r"no match of \b(None|len\(|== 0|if not)"
    assert score.criteria == {
        "returns": Contribution(20.0, 20.0),
        "typed": Contribution(0.0, 20.0, untyped),
        "edges": Contribution(0.0, 30.0, careless),
        "short": Contribution(30.0, 30.0),
    }
    assert f"typed: {untyped}; edges: {careless}" == score.reason


def test_every_point() -> None:
    """All criteria met is exactly one, with nothing to say."""
    score = rubric("```python\ndef f(x: list[int]) -> int:\n    return x[0] if len(x) else 0\n```")
    assert (1.0, None) == (score.value, score.reason)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_answer_earns_nothing(text: str) -> None:
    """It would meet every limit of length."""
    score = rubric(text, [{"name": "short", "points": 1, "check": {"max_words": 5}}])
    assert ("score", 0.0, "no_answer") == (score.outcome, score.value, score.error_class)
    assert {"short": Contribution(0.0, 1.0, "the answer is empty")} == score.criteria


CHECKS: list[tuple[Any, str, str, str]] = [
    # check, an answer that meets it, one that does not, and why
    ({"regex": "(?i)edge"}, "An EDGE case", "nothing", "no match of (?i)edge"),
    ({"contains": ["a", "b"]}, "ab", "a", "it does not contain 'b'"),
    ({"max_lines": 2}, "one\n\n \ntwo\n", "1\n2\n3", "3 lines"),
    ({"min_words": 2}, "two  words", "one", "1 words"),
    ({"max_words": 1}, "one", "two words", "2 words"),
    ({"json_schema": {"required": ["a"]}}, 'So {"a": 1}', "{}", "at $: 'a' is a required property"),
    ({"json_schema": True}, "[1]", "none", "there is no JSON"),
    ("python.parses", "def f(): pass", "```\ndef f(:\n```", "the program does not parse"),
    ("python.parses", "```\nx = 1\n```", "In words.", "there is no program"),
    ("python.has_return", "def f():\n    return 1", "def f():\n    return None", "no function returns a value"),
    ("python.has_docstring", 'def f():\n    "Does."', '"""Module."""\ndef f():\n    pass', FACTS["has_docstring"][1]),
    ("python.fully_annotated", "def f() -> None: ...", "def f(): ...", FACTS["fully_annotated"][1]),
]


@pytest.mark.parametrize(("check", "good", "bad", "reason"), CHECKS)
def test_each_check(check: Any, good: str, bad: str, reason: str) -> None:
    """Met, or not met with a reason."""
    assert (1.0, "") == make(check).find(Answer(good), None)
    assert (0.0, reason) == make(check).find(Answer(bad), None)


def test_the_vocabulary_is_tested() -> None:
    """No check without a line above."""
    with pytest.raises(SpecError) as caught:
        make("nothing")
    known = set(caught.value.hint.removeprefix("known: ").split(", "))
    assert known == {check if isinstance(check, str) else next(iter(check)) for check, *_ in CHECKS}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n    def __init__(self, x: int): ...\n    @classmethod\n    def f(cls, *a: int) -> int: ...", True),
        ("class A:\n    @staticmethod\n    def f(x) -> int: ...", False),
        ("def f(a: int, *, b) -> int: ...", False),
        ("def f(a: int, **b) -> int: ...", False),
        ("def f(a, /, b: int) -> int: ...", False),
        ("def f(a: int): ...", False),
        ("async def f(a: int) -> int: ...", True),
        ("def f(a: int) -> int:\n    def g(b): ...\n    return 1", False),
        ("x: int = 1", False),
        ("def f(:", False),
    ],
)
def test_annotations(source: str, expected: bool) -> None:
    """`self`, `cls` and the result of `__init__` need none; everything else does, inside functions too."""
    assert expected == facts(source)["facts"]["fully_annotated"]


@pytest.mark.parametrize("source", ["(" * 100_000, "\x00", "-" * 200_000 + "1", "def f():\n\treturn 1\n        x"])
def test_what_python_cannot_read_has_no_facts(source: str) -> None:
    """Never an exception: a model may write anything."""
    assert facts(source)["facts"] == dict.fromkeys(FACTS, False)


def test_a_pattern_that_does_not_end_voids_the_answer() -> None:
    """What one criterion gives is not known, so the sum is not."""
    score = rubric("a" * 40 + "!", [{"name": "slow", "points": 1, "check": {"regex": "(a+)+$"}}])
    assert ("void", None, {}) == (score.outcome, score.value, score.criteria)
    assert "scorer: the criterion 'slow' failed: it did not end within its processor time" == score.reason


def test_half_a_character_is_no_exception() -> None:
    """Texts with lone surrogates are judged as well."""
    score = rubric("```python\ns = '\ud800'\n```", [{"name": "p", "points": 1, "check": "python.parses"}])
    assert 1.0 == score.value


@given(st.lists(st.tuples(st.floats(0.001, 1e6), st.booleans()), min_size=1, max_size=8))
def test_the_score_is_a_share(weights: list[tuple[float, bool]]) -> None:
    """In [0, 1] whatever the points are, and the criteria add up to it."""
    criteria = [
        {"name": str(number), "points": points, "check": {"max_words": 1 if met else 2}}
        for number, (points, met) in enumerate(weights)
    ]
    score = rubric("two words", criteria)
    assert score.value is not None
    assert 0.0 <= score.value <= 1.0
    earned = math.fsum(one.points for one in score.criteria.values())
    assert score.value == pytest.approx(earned / math.fsum(points for points, _ in weights))


WRONG: list[tuple[Any, str]] = [
    ({}, "score.rubric.criteria is a list of criteria"),
    ({"criteria": []}, "score.rubric.criteria is a list of criteria"),
    ({"rules": []}, "score.rubric has no option 'rules'"),
    ({"answer": "careful"}, "the rubric 'careful' is not known here"),
    (
        {"criteria": [{"name": "a"}]},
        "score.rubric.criteria[0] needs name, points and check, and may",
    ),
    ({"criteria": [CAREFUL[0], CAREFUL[0]]}, "score.rubric.criteria[1]: the name 'returns' is there twice"),
]
FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name is a text, not ' '"),
    ({"points": 0}, "points is a number above 0, not 0"),
    ({"points": math.inf}, "points is a number above 0, not inf"),
    ({"points": True}, "points is a number above 0, not True"),
    ({"check": "has_return"}, "check knows no check 'has_return'"),
    ({"check": "python.has_returns"}, "check knows no check 'python.has_returns'"),
    ({"check": {"max_line": 3}}, "check knows no check 'max_line'"),
    ({"check": {"max_lines": 3, "min_words": 2}}, "check is one check: a name, or a map with one key"),
    ({"check": {"max_lines": 0}}, "check max_lines: is a whole number from 1, not 0"),
    ({"check": {"min_words": True}}, "check min_words: is a whole number from 1, not True"),
    ({"check": {"max_words": "3"}}, "check max_words: is a whole number from 1, not '3'"),
    ({"check": {"contains": "text"}}, "check contains: is a list of texts"),
    ({"check": {"regex": "("}}, "check regex: is no regular expression: missing ), unterminated subpattern"),
    ({"check": {"regex": 5}}, "check regex: is a text, not 5"),
    ({"check": {"json_schema": {"type": 5}}}, "check json_schema: is no JSON Schema: at $.type"),
]
WRONG += [({"criteria": [CAREFUL[0] | field]}, f"score.rubric.criteria[0].{message}") for field, message in FIELDS]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_rubric_that_is_wrong(options: dict[str, Any], message: str) -> None:
    """Told with its place, before anything is asked."""
    with pytest.raises(SpecError) as caught:
        RubricScorer(options)
    assert caught.value.message.startswith(message)
