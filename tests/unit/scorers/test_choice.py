"""Multiple choice: options in every form, metrics by hand, letters with the traps of real answers."""

from __future__ import annotations

import gzip
import json
import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.errors import DataError, SpecError
from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Completion, FinishReason, Likelihood, Prompt, Sample, SampleRow, Score, Share
from evalkit.report.collect import collect
from evalkit.scorers.choice import ChoiceScorer
from evalkit.scorers.options import Choices, read

GOLDEN = Path(__file__).parents[4] / "shared/data/golden"
WEIGHED = {"options": "choices", "answer": "answer"}
LETTER = {**WEIGHED, "by": "letter"}
COLOURS = ["red", "dark green", "blue"]


def sample(**row: Any) -> Sample:
    return Sample("t", "i", "c", "test", {}, Prompt(text="Q"), row)


def weighed(options: dict[str, Any], row: dict[str, Any], *logprobs: float) -> Score:
    scorer, asked = ChoiceScorer(options), sample(**row)
    scorer.check(asked)
    known = tuple(Likelihood(value, 1, False) for value in logprobs)
    return scorer.score(asked, Completion("k", "", "weighed", None, "0", likelihoods=known), None)


def written(text: str, answer: Any = 1, finish: FinishReason = "stop", choices: list[str] | None = None) -> Score:
    options = choices or ["the control", "the hypothesis", "the dependent variable", "the independent (own) variable"]
    scorer, asked = ChoiceScorer(LETTER), sample(choices=options, answer=answer)
    scorer.check(asked)
    assert scorer.continuations(asked) == ()
    return scorer.score(asked, Completion("k", text, finish, None, "0"), None)


# options


@pytest.mark.parametrize(
    ("row", "more", "expected"),
    [
        ({"choices": COLOURS, "answer": 2}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (2,))),
        ({"choices": COLOURS, "answer": "B"}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (1,))),
        ({"choices": COLOURS, "answer": "b"}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (1,))),
        ({"choices": COLOURS, "answer": "3"}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (2,))),
        ({"choices": COLOURS, "answer": "dark green"}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (1,))),
        ({"choices": COLOURS, "answer": [0, "C"]}, {}, Choices(tuple(COLOURS), ("A", "B", "C"), (0, 2))),
        (
            {"choices": COLOURS, "labels": ["1", "2", "3"], "answer": "3"},
            {"labels": "labels"},
            Choices(tuple(COLOURS), ("1", "2", "3"), (2,), True),
        ),
        (
            {"choices": COLOURS, "labels": ["1", "2", "3"], "answer": 3},
            {"labels": "labels"},
            Choices(tuple(COLOURS), ("1", "2", "3"), (2,), True),
        ),
        (
            {"choices": COLOURS, "labels": ["1", "2", "3"], "answer": "C"},
            {"labels": "labels"},
            Choices(tuple(COLOURS), ("1", "2", "3"), (2,), True),
        ),
        (
            {"choices": {"text": COLOURS, "label": ["A", "B", "C"]}, "answer": "A"},
            {"labels": "not there, not needed"},
            Choices(tuple(COLOURS), ("A", "B", "C"), (0,), True),
        ),
        (
            {"choices": COLOURS, "gold": "x C"},
            {"answer": "{{ gold[-1] }}"},
            Choices(tuple(COLOURS), ("A", "B", "C"), (2,)),
        ),
        ({"choices": [6, 7, 13], "answer": 1}, {}, Choices(("6", "7", "13"), ("A", "B", "C"), (1,))),
    ],
)
def test_options_in_every_form(row: dict[str, Any], more: dict[str, str], expected: Choices) -> None:
    """Lists and maps; an index, a letter, a digit, the text, several of them."""
    assert read({**WEIGHED, **more}, sample(**row)) == expected


@pytest.mark.parametrize(
    ("row", "more", "message"),
    [
        ({"choices": COLOURS}, {}, "no field 'answer'"),
        ({"answer": 0}, {}, "no field 'choices'"),
        ({"choices": COLOURS, "answer": 3}, {}, "3 is none of the 3 options"),
        ({"choices": COLOURS, "answer": "D"}, {}, "'D' is none of the 3 options"),
        ({"choices": COLOURS, "answer": "4"}, {}, "'4' is none of the 3 options"),
        ({"choices": COLOURS, "answer": True}, {}, "True is none of the 3 options"),
        ({"choices": COLOURS, "answer": []}, {}, "no option is right"),
        ({"choices": ["one"], "answer": 0}, {}, "1 options: multiple choice needs 2 to 26"),
        ({"choices": "red, blue", "answer": 0}, {}, "no list of texts"),
        ({"choices": COLOURS, "answer": 0, "labels": ["A", "B"]}, {"labels": "labels"}, "3 options have the labels"),
        ({"choices": {"text": COLOURS}, "answer": 0}, {}, "a map without `text` and `label`"),
        ({"choices": COLOURS, "i": 1}, {"answer": "{{ i }}"}, "'1' may be an index or a label"),
        ({"choices": ["", "a"], "answer": 0}, {"continuation": "{{ option }}"}, "an option is empty"),
    ],
)
def test_rows_that_cannot_be_scored(row: dict[str, Any], more: dict[str, str], message: str) -> None:
    """Each is said before anything is asked."""
    with pytest.raises(DataError, match=re.escape(message)):
        ChoiceScorer({**WEIGHED, **more}).check(sample(**row))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs `options`"),
        ({"options": "choices"}, "needs `answer`"),
        ({"right": "r"}, "needs `wrong`"),
        ({**WEIGHED, "by": "magic"}, "by is one of loglikelihood, letter, label"),
        ({**WEIGHED, "metric": "f1"}, "metric is one of acc, acc_norm, mc1, mc2"),
        ({**WEIGHED, "metric": "mc2"}, "mc1 and mc2 need `right` and `wrong`"),
        ({"right": "r", "wrong": "w", "metric": "acc"}, "means nothing with `right`"),
        ({**WEIGHED, "by": "letter", "metric": "acc"}, "metric means nothing by letter"),
        ({**WEIGHED, "best": "b"}, "best means nothing beside `options`"),
        ({"right": "r", "wrong": "w", "answer": "a"}, "answer means nothing beside `right`"),
        ({**WEIGHED, "option": "x"}, "has no option 'option'"),
        ({**WEIGHED, "labels": 3}, "labels is a text"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    """The scorer says which, and what to leave out."""
    with pytest.raises(SpecError, match=re.escape(message)):
        ChoiceScorer(options)


# by log-likelihood


def test_continuations() -> None:
    """The options' texts after a space, or what the template makes of option, label and row."""
    asked = sample(choices=COLOURS, answer=0, end="!")
    assert (" red", " dark green", " blue") == ChoiceScorer(WEIGHED).continuations(asked)
    letters = ChoiceScorer({**WEIGHED, "continuation": " {{ label }}{{ end }}"})
    assert (" A!", " B!", " C!") == letters.continuations(asked)


def test_sum_and_mean_for_each_character() -> None:
    """A long option loses by the sum and wins by character; the other metric is a reading."""
    row = {"choices": COLOURS, "answer": 1}
    by_sum = weighed(WEIGHED, row, -3.0, -6.0, -5.0)  # by character: -1.0, -0.6, -1.25
    assert ("fail", 0.0, "A", "acc", "wrong_answer") == (
        by_sum.outcome, by_sum.value, by_sum.answer, by_sum.rule, by_sum.error_class
    )  # fmt: skip
    assert {"acc_norm": Share(1.0)} == by_sum.readings
    assert "expected B: dark green" == by_sum.reason
    by_character = weighed({**WEIGHED, "metric": "acc_norm"}, row, -3.0, -6.0, -5.0)
    assert ("pass", "B", {"acc": Share(0.0)}) == (by_character.outcome, by_character.answer, by_character.readings)


def test_of_equal_options_the_first_counts() -> None:
    """As argmax has it: no favour to the right one."""
    assert ["fail", "pass"] == [weighed(WEIGHED, {"choices": COLOURS, "answer": n}, -2, -1, -1).outcome for n in (2, 1)]


def test_letters_have_no_second_metric() -> None:
    """They are of one length, so a mean for each character says nothing new."""
    score = weighed({**WEIGHED, "continuation": " {{ label }}"}, {"choices": COLOURS, "answer": 0}, -1, -2, -3)
    assert ("pass", {}) == (score.outcome, score.readings)


def test_truthfulqa_metrics() -> None:
    """mc1: the best right answer against the wrong ones; mc2: the right ones' share of the probability."""
    options = {"right": "r", "wrong": "w", "best": "b"}
    row = {"b": "yes", "r": "maybe; yes; ", "w": "no; never"}
    assert (" yes", " maybe", " no", " never") == ChoiceScorer(options).continuations(sample(**row))
    probabilities = (0.2, 0.4, 0.1, 0.3)
    logprobs = [math.log(one) - 900 for one in probabilities]  # far below what exp() can hold
    mc1 = weighed(options, row, *logprobs)
    assert ("fail", "never", pytest.approx(0.6)) == (mc1.outcome, mc1.answer, mc1.readings["mc2"].part)
    mc2 = weighed({**options, "metric": "mc2"}, row, *logprobs)
    assert ("score", pytest.approx(0.6), {"mc1": Share(0.0)}) == (mc2.outcome, mc2.value, mc2.readings)
    assert "pass" == weighed(options, row, -1.0, -0.5, -2.0, -3.0).outcome


def test_likelihoods_that_do_not_fit_are_void() -> None:
    """Never a wrong answer."""
    assert ("void", None) == (
        weighed(WEIGHED, {"choices": COLOURS, "answer": 0}, -1.0).outcome,
        weighed(WEIGHED, {"choices": COLOURS, "answer": 0}, -1.0).value,
    )


# by letter


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("So we get \\boxed{B}.", "B", "boxed"),
        ("Thus $\\boxed{\\text{(C) the dependent variable}}$ and not A.", "C", "boxed"),
        ("\\boxed{A} is tempting, but \\boxed{D}", "D", "boxed"),
        ("\\boxed{the hypothesis}", "B", "boxed"),
        ("The correct answer is A. No, wait: that is wrong.\n\nThe answer is C.", "C", "clause"),
        ("**Answer: B**", "B", "clause"),
        ("Answer: $D$", "D", "clause"),
        ("answer: b", "B", "clause"),
        ("The answer is a", "A", "clause"),
        ("The answer is (B) because it was tested. Option A is incorrect. Option C is incorrect.", "B", "clause"),
        ("The correct option is:\n\nD. the independent variable", "D", "clause"),
        ("Looking at the options, B is the correct answer, not A.", "B", "clause"),
        ("The answer is A because it stays the same.", "A", "clause"),
        ("The best thing to change is C. the dependent variable. D. is only measured.", "C", "statement"),
        ("Let me think about it.\nIt has to be one of them.\n(D)", "D", "line"),
        ("B", "B", "line"),
        ("C. the dependent variable\n\nIt is what responds.", "C", "leading"),
        ("(B) the hypothesis", "B", "leading"),
        ("He looks at the independent variable, and not at what responds.", "D", "option_text"),
        ("What he writes down first is the hypothesis.", "B", "option_text"),
        ("I would go for option C here.", "C", "mention"),
        ("If A is correct then the test is useless. So B is correct.", "B", "clause"),
        ("Neither A nor C is correct, and it cannot be said that D is right.", None, None),
        ("A is correct? No. The answer is B", "B", "clause"),
        ("I have no idea.", None, None),
        ("The answer is a mystery.", None, None),
        ("A good physicist would not say.", None, None),
        ("Option A is incorrect. Option B is wrong.", None, None),
        ("A. the control: no\nB. the hypothesis: perhaps\nC. the dependent variable: perhaps", None, None),
        ("", None, None),
    ],
)
def test_the_letter_and_the_rule_that_found_it(text: str, answer: str | None, rule: str | None) -> None:
    """Corrections, markup, letters named to be refused, answers in words, and none."""
    score = written(text)
    assert (answer, rule) == (score.answer, score.rule)
    assert ("pass" if answer == "B" else "fail") == score.outcome
    assert (None if answer == "B" else "no_answer" if answer is None else "wrong_answer") == score.error_class


def test_what_was_cut_off_is_not_guessed_at() -> None:
    """An option named on the way is no conclusion; a clause before the cut is."""
    assert written("First, the hypothesis", finish="length").answer is None
    assert "B" == written("First, the hypothesis", finish="stop").answer
    assert "B" == written("The answer is B. To see why, consider", finish="length").answer


def test_numbers_as_options() -> None:
    """13 is not 3, and 13.5 is not 13."""
    assert "C" == written("So, the mass of this atom is 13.", choices=["3", "7", "13", "19"]).answer
    assert written("So, the mass is 13.5 units.", choices=["3", "7", "13", "19"]).answer is None


def test_a_box_with_a_text_that_begins_like_a_label() -> None:
    """The text of the third option, not the label of the first one; a box with an unknown thing is none."""
    options = ["a coil", "iron", "A magnet"]
    found = written("\\boxed{A magnet}", choices=options)
    assert ("C", "boxed") == (found.answer, found.rule)
    assert written("\\boxed{A rock}", choices=options).answer is None
    assert "A" == written("\\boxed{A because of it}", choices=options).answer


def test_labels_that_are_words_or_digits() -> None:
    """Whatever their case; 1.5 is not the label 1."""
    words = {"choices": ["it is", "it is not"], "labels": ["Yes", "No"], "answer": "Yes"}
    digits = {"choices": COLOURS, "labels": ["1", "2", "3"], "answer": "1"}
    scorer = ChoiceScorer({**LETTER, "labels": "labels", "by": "label"})

    def answer(row: dict[str, Any], text: str) -> str | None:
        return scorer.score(sample(**row), Completion("k", text, "stop", None, "0"), None).answer

    assert "Yes" == answer(words, "The answer is: yes")
    assert "No" == answer(words, "answer: NO")
    assert answer(digits, "The answer is 1.5 m") is None
    assert answer(digits, "1.5 m is what I measured") is None
    assert "1" == answer(digits, "The answer is 1.")


@pytest.mark.parametrize("count", [3, 5])
def test_three_and_five_options(count: int) -> None:
    """A letter beyond the options is none."""
    options = ["one cat", "two dogs", "three birds", "four fish", "five mice"][:count]
    assert written("The answer is E.", choices=options).answer == ("E" if count == 5 else None)


def test_labels_of_the_data() -> None:
    """`letter`: the prompt shows letters whatever the data's labels are; `label`: it shows these."""
    row = {"choices": COLOURS, "labels": ["1", "2", "3"], "answer": "2"}
    options = {**LETTER, "labels": "labels"}
    found = {}
    for by, text in (("letter", "The answer is B."), ("label", "The answer is 2.")):
        scorer = ChoiceScorer({**options, "by": by})
        found[by] = scorer.score(sample(**row), Completion("k", text, "stop", None, "0"), None)
    assert [("pass", "B"), ("pass", "2")] == [(one.outcome, one.answer) for one in found.values()]


@pytest.mark.parametrize(
    ("text", "simple_evals", "flan_flexible", "first_line"),
    [
        ("Answer: B\nAnswer: C", 1.0, 0.0, 0.0),
        ("answer: b", 0.0, 0.0, 0.0),
        ("B.", 0.0, 0.0, 1.0),
        ("b\nbecause", 0.0, 0.0, 1.0),
        ("Not (A), but (B)", 0.0, 1.0, 0.0),
        ("It is the Hypothesis!", 0.0, 1.0, 0.0),
    ],
)
def test_what_the_field_makes_of_it(text: str, simple_evals: float, flan_flexible: float, first_line: float) -> None:
    """simple-evals, lm-eval's flexible-extract and its first line, beside the score."""
    expected = {"simple_evals": simple_evals, "flan_flexible": flan_flexible, "first_line": first_line}
    assert expected == {name: share.part for name, share in written(text).readings.items()}


# golden


def rows_of(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        pytest.skip(f"the golden results of ../shared/data are not here: {path.name}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("side", "right"), [("a", 39), ("b", 50)])
def test_golden_reasoning_answers(side: str, right: int) -> None:
    """100 real answers, labelled by hand: each verdict is that label."""
    rows = rows_of(GOLDEN / "cogumi_judge/reasoning.jsonl.gz")
    scorer, verdicts = ChoiceScorer(LETTER), []
    for row in rows:
        options = re.findall(r"^[A-E]\. (.*)$", row["prompt"], re.MULTILINE)
        asked = sample(choices=options, answer=row["ground_truth"])
        score = scorer.score(asked, Completion("k", row[f"response_{side}"], "recorded", None, "0"), None)
        verdicts.append(score.outcome == "pass")
    assert [row[f"{side}_correct"] for row in rows] == verdicts
    assert right == sum(verdicts)


def test_golden_mmlu_predictions(row: Callable[..., SampleRow]) -> None:
    """6,786 recorded letters: the micro mean over questions and the macro mean over subjects, which differ."""
    rows = rows_of(GOLDEN / "mmlu_predictions/predictions.jsonl.gz")
    expected = json.loads((GOLDEN / "mmlu_predictions/expected.json").read_text())["checkpoint-0"]
    items = {(one["subject"], one["i"]): one for one in rows_of(GOLDEN.parent / "mmlu/test.jsonl.gz")}
    scorer = ChoiceScorer({"options": "choices", "answer": "answer", "by": "letter"})
    scored = []
    for one in rows:
        item = items[one["subject"], one["i"]]
        score = scorer.score(sample(**item), Completion("k", one["prediction"], "recorded", None, "0"), None)
        known = {"id": f"{one['subject']}/{one['i']}", "groups": {"subject": one["subject"]}}
        scored.append(row(outcome=score.outcome, score=score.value, **known))
    results = collect(scored, RunRecord(id="r", name="n", state="complete", started="2026-01-01T00:00:00Z"))
    subjects = results.steps["s"].groups["subject"]
    right = {name: [measure.metrics.answers.passed, measure.n] for name, measure in subjects.items()}
    assert expected["per_subject"] == right
    assert (28, 6786) == (len(subjects), results.steps["s"].all.n)
    assert results.steps["s"].all.score == pytest.approx(0.453581, abs=5e-7)
    assert statistics.mean(measure.score or 0.0 for measure in subjects.values()) == pytest.approx(0.449226, abs=5e-7)
