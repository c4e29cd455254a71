"""Answers found by a regular expression."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Prompt, Sample, Score
from evalkit.scorers.regex import RegexScorer


def sample(**row: Any) -> Sample:
    return Sample("t", "1", "t", "test", {}, Prompt(text="?"), row)


def regex(text: str, gold: object = "B", **options: Any) -> Score:
    return RegexScorer(options).score(sample(gold=gold), Completion("k", text, "stop", None, ""), None)


LETTER = {"pattern": r"answer: *([A-E])", "answer": "{{ gold }}"}


@pytest.mark.parametrize(
    ("text", "options", "answer", "right"),
    [
        ("The answer: B", LETTER, "B", True),
        ("answer: A or answer: B", LETTER, "A", False),
        ("answer: A or answer: B", LETTER | {"take": "last"}, "B", True),
        ("ANSWER: b", LETTER | {"ignore_case": True}, "b", True),
        ("(x) B", {"pattern": r"\((x)\) (?P<answer>[A-E])", "field": "gold"}, "B", True),
        ("B", {"pattern": "[A-E]", "field": "gold"}, "B", True),
        (" B \n", {"pattern": "[A-E]", "whole": True}, "B", True),
        ("May 2024", {"pattern": r"[A-Z][a-z]+ \d{4}", "whole": True}, "May 2024", True),
        ("In May 2024", {"pattern": r"[A-Z][a-z]+ \d{4}", "whole": True}, None, False),
        ("nothing", LETTER, None, False),
        ("\ud800 answer: B", LETTER, "B", True),
    ],
)
def test_what_the_pattern_finds(text: str, options: dict[str, Any], answer: str | None, right: bool) -> None:
    """First or last, group or all, compared or only there."""
    score = regex(text, **options)
    assert (answer, "pass" if right else "fail") == (score.answer, score.outcome)
    assert ("regex" if answer else None) == score.rule


def test_failures_have_a_class() -> None:
    """No match is no answer; another match is a wrong one."""
    assert Score("fail", 0.0, error_class="no_answer", reason="expected B or C") == regex(
        "x", ["B", "C"], pattern="y", field="gold"
    )
    wrong = Score("fail", 0.0, answer="A", error_class="wrong_answer", rule="regex", reason="expected B or C")
    assert wrong == regex("answer: A", ["B", "C"], pattern=LETTER["pattern"], field="gold")


def test_a_pattern_that_does_not_end_is_void() -> None:
    """Never a wrong answer, never a hang; the reason names the pattern. The next answer is scored."""
    score = regex("a" * 60 + "b", pattern="(a+)+$")
    expected = "scorer: the pattern '(a+)+$' failed: it did not end within its processor time"
    assert Score("void", None, reason=expected) == score
    assert "pass" == regex("aa", pattern="(a+)+$").outcome


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "score.regex needs a `pattern`"),
        ({"pattern": "(a"}, "score.regex.pattern is no regular expression: missing"),
        ({"pattern": "a", "take": "all"}, "score.regex.take is first or last, not 'all'"),
        ({"pattern": "a", "whole": 1}, "score.regex.whole is true or false, not 1"),
        ({"pattern": "a", "flags": "i"}, "score.regex has no option 'flags'"),
        ({"pattern": "a", "answer": "x", "field": "y"}, "score.regex needs one of"),
    ],
)
def test_wrong_options_are_mistakes_of_the_task_file(options: dict[str, Any], message: str) -> None:
    """They are found when the spec is checked."""
    with pytest.raises(SpecError, match=message):
        RegexScorer(options)


@pytest.mark.parametrize("gold", [None, "", [], {"a": 1}, [""]])
def test_an_empty_gold_answer_is_a_mistake_in_the_data(gold: object) -> None:
    """Where one is compared with."""
    RegexScorer({"pattern": "a"}).check(sample(gold=gold))
    with pytest.raises(DataError, match="no gold answer"):
        RegexScorer({"pattern": "a", "field": "gold"}).check(sample(gold=gold))
