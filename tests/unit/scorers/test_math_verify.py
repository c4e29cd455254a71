"""Mathematical answers: the field's verdicts, and never a hang."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.errors import DataError, PrerequisiteError, SpecError
from evalkit.core.types import Completion, Prompt, Sample, Score
from evalkit.scorers import bounded, math_verify
from evalkit.scorers.math_verify import MathVerifyScorer

GOLDEN = Path(__file__).parents[4] / "shared/data"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded answers of ../shared/data are not here")


def sample(**row: Any) -> Sample:
    return Sample("t", "1", "t", "test", {}, Prompt(text="?"), row)


def score(text: str, gold: object, **options: Any) -> Score:
    scorer = MathVerifyScorer({"field": "gold", **options})
    return scorer.score(sample(gold=gold), Completion("k", text, "stop", None, ""), None)


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("So it is $\\boxed{\\frac{1}{2}}$.", "0.5", True),
        ("So it is $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{3}", False),
        ("The answer is 10000", "10{,}000", True),
        ("$x \\in [-2, 7]$", "[-2,7]", True),
        ("$\\boxed{(3, \\frac{\\pi}{2})}$", "\\left( 3, \\frac{\\pi}{2} \\right)", True),
        ("$\\boxed{2x+1}$", "1+2x", True),
        ("4", 4, True),
        ("It costs $\\boxed{\\$36}$", "\\$36", True),
    ],
)
def test_equal_is_what_is_mathematically_the_same(text: str, gold: object, right: bool) -> None:
    """In whatever form either is written."""
    found = score(text, gold)
    assert ("pass" if right else "fail", "math_verify") == (found.outcome, found.rule)
    assert (None if right else "wrong_answer") == found.error_class


def test_scores_say_what_was_found() -> None:
    """The text that was taken for the answer, and what was expected."""
    assert Score("pass", 1.0, answer="4", rule="math_verify") == score("$\\boxed{4}$", "4")
    reason = "expected $4$"
    assert Score("fail", 0.0, error_class="no_answer", reason=reason) == score("I do not know", "4")
    assert "fail" == score("\ud800", "4").outcome


def test_options_change_the_relation() -> None:
    """The defaults are the field's; each can be relaxed."""
    assert "fail" == score("$\\boxed{0.333}$", "\\frac{1}{3}").outcome
    assert "pass" == score("$\\boxed{0.333}$", "\\frac{1}{3}", decimals=3).outcome
    assert "pass" == score("$\\boxed{1 < x < 2}$", "(1, 2)", relations=True).outcome


@pytest.mark.parametrize("cause", ["time", "memory"])
def test_a_comparison_that_does_not_end_is_undecided(cause: bounded.Cause, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails under its own class, as in the field it is no match."""
    _exceed(monkeypatch, cause)
    expected = Score(
        "fail",
        0.0,
        error_class="undecided",
        rule="math_verify",
        reason="expected $4$; the comparison was ended: why",
    )
    assert expected == score("4", "4")


@pytest.mark.parametrize("cause", ["stalled", "died"])
def test_what_is_no_fault_of_the_answer_is_void(cause: bounded.Cause, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is too busy, a package that breaks."""
    _exceed(monkeypatch, cause)
    assert Score("void", None, reason="scorer: math-verify failed: why") == score("4", "4")


def _exceed(monkeypatch: pytest.MonkeyPatch, cause: bounded.Cause) -> None:
    def call(self: bounded.BoundedProcess, job: str, arguments: dict[str, Any], cpu_s: int) -> None:
        raise bounded.Exceeded(cause, "why")

    monkeypatch.setattr(bounded.BoundedProcess, "call", call)


def test_an_answer_that_sympy_cannot_finish_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tower of powers: ended by the kernel or given up by the package, and the next answer is judged."""
    monkeypatch.setattr(math_verify, "_TOTAL_CPU_S", 3)
    found = score("$\\boxed{9^{9^{9^{9}}} + 7^{8^{9^{9}}}}$", "9^{9^{9^{9}}}+1")
    assert ("fail", 0.0) == (found.outcome, found.value)
    assert "pass" == score("$\\boxed{4}$", "4").outcome


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "score.math_verify needs one of"),
        ({"answer": "4", "decimals": "six"}, "options of the scorer 'math_verify'"),
        ({"answer": "4", "targets": []}, "score.math_verify.targets is empty"),
        ({"answer": "4", "targets": ["words"]}, "options of the scorer 'math_verify'"),
        ({"answer": "4", "timeout": 3}, "score.math_verify has no option 'timeout'"),
    ],
)
def test_wrong_options_are_mistakes_of_the_task_file(options: dict[str, Any], message: str) -> None:
    """They are found when the spec is checked."""
    with pytest.raises(SpecError, match=message):
        MathVerifyScorer(options)


@pytest.mark.parametrize("gold", [None, "", "  ", [], {"a": 1}, True])
def test_an_empty_gold_answer_is_a_mistake_in_the_data(gold: object) -> None:
    """Said before a model is asked."""
    with pytest.raises(DataError, match="no gold answer"):
        MathVerifyScorer({"field": "gold"}).check(sample(gold=gold))


def test_the_version_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version judges otherwise: it is refused, with what to install."""
    math_verify._check_installed.cache_clear()
    monkeypatch.setattr(math_verify, "version", lambda name: "0.8.0")
    with pytest.raises(PrerequisiteError, match=r"needs math-verify 0\.9\.0, here is 0\.8\.0") as caught:
        MathVerifyScorer({"field": "gold"}).check(sample(gold="4"))
    assert "pip install 'evalkit-spec[math]'" == caught.value.hint
    math_verify._check_installed.cache_clear()


@golden
def test_published_pairs_are_judged_as_published() -> None:
    """Every pair of the package's own tests that is recorded, with the configuration of its case."""
    pairs = [
        json.loads(line) for line in (GOLDEN / "golden/math_verify_pairs/pairs.jsonl").read_text("utf-8").splitlines()
    ]
    verdicts = [
        score(
            pair["pred"],
            pair["gold"],
            targets=pair["match_types"],
            decimals=pair["precision"],
            strict=pair["strict"],
            relations=pair["allow_set_relation_comp"],
            gold_form="as_is",
        ).outcome
        for pair in pairs
    ]
    assert ["pass" if pair["equal"] else "fail" for pair in pairs] == verdicts
    assert (133, 116) == (len(verdicts), verdicts.count("pass"))


@golden
def test_sampled_solutions_are_judged_as_published() -> None:
    """Eight worked solutions to each of 50 problems: every published verdict, and the figures that follow."""
    folder = GOLDEN / "golden/math_cot_bestof8"
    with gzip.open(folder / "samples.jsonl.gz", "rt", encoding="utf-8") as stream:
        problems = [json.loads(line) for line in stream]
    verdicts = [[score(text, row["gold"]).outcome == "pass" for text in row["samples"]] for row in problems]
    assert [row["correct"] for row in problems] == verdicts
    assert 0.9375 == sum(map(sum, verdicts)) / sum(map(len, verdicts))
    assert 0.92 == sum(row[0] for row in verdicts) / 50


@golden
def test_gold_solutions_of_math500_pass() -> None:
    """What the publisher wrote is right: each worked solution, scored as an answer, passes."""
    with gzip.open(GOLDEN / "math500/test.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    failed = [row["answer"] for row in rows if score(row["solution"], row["answer"]).outcome != "pass"]
    assert [] == failed
