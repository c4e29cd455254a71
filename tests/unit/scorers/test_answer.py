"""Answers: found by the surest rule, compared exactly, and never an exception for what a model may write."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Prompt, Sample, Score, Share
from evalkit.scorers import numbers
from evalkit.scorers.answer import ExactScorer, NumberScorer

GOLDEN = Path(__file__).parents[4] / "shared/data"
NUMBER = NumberScorer({"answer": "{{ gold }}"})


def sample(**row: Any) -> Sample:
    return Sample("t", "1", "t", "test", {}, Prompt(text="?"), row)


def completion(text: str) -> Completion:
    return Completion("k", text, "stop", None, "")


def number(text: str, gold: object = "18", **options: Any) -> Score:
    scorer = NumberScorer({"answer": "{{ gold }}", **options})
    return scorer.score(sample(gold=gold), completion(text), None)


def exact(text: str, gold: object = "Paris", **options: Any) -> Score:
    return ExactScorer({"field": "gold", **options}).score(sample(gold=gold), completion(text), None)


LADDER = [
    # text, rule, number
    ("She makes 9 * 2 = 18.\n#### 18", "hashes", "18"),
    ("#### 1. Add the eggs\n16 - 7 = 9\n#### 2. Sell them\n9 * 2 = 18\n#### **$18**", "hashes", "18"),
    ("#### 18\n\nQuestion: what is 3+4?\n#### 7", "hashes", "18"),
    ("In 4 weeks: $\\boxed{\\frac{1}{2}}$ or so, 5", "boxed", "1/2"),
    ("\\boxed{3} is wrong, it is \\boxed{x = 18 \\text{ dollars}} of 20", "boxed", "18"),
    ("\\boxed{10{,}000} and \\boxed{cut", "boxed", "10000"),
    ("\\boxed{\\text{18}} in 4 weeks", "boxed", "18"),
    ("The answer is 18 because 9 * 2. I used 2 numbers", "answer", "18"),
    ("The answer is 5. No: the correct answer is 9 * 2 = 18 dollars. It took 2 steps.", "answer", "18"),
    ("**Answer:** $16.00\n\nThat is 8 times 2.", "answer", "16"),
    ("Final answer:\n\n18\n\n3 steps", "answer", "18"),
    ("Answer: 16 - 7 = 9 eggs.\nShe makes 9 * 2 = 18 dollars", "equation", "18"),
    ("Answer: She eats 3 eggs.\nSo 18 are left", "last", "18"),
    ("The answer is as follows:\n**18 dollars** in 4 weeks", "bold", "18"),
    ("**Step 1:** add 3\n**Total: $1,800.50**\nin 4 weeks", "bold", "1800.5"),
    ("84 / 12 = 7\n\nSo Claire eats 7 dozens of eggs in 4 weeks.", "equation", "7"),
    ("12 + 5 = 17 apples in 4 weeks.", "equation", "17"),
    ("7 + 5 = 12\n\nThis is a classic example of an addition.", "equation", "12"),
    ("5 * 2 = 10 are bought. She gives away half, so 5 remain.", "last", "5"),
    ("12/20 = 0.6 or 60%", "last", "60"),
    ("2 + 3 = 5 + 4", "last", "4"),
    ("A: 224", "last", "224"),
    ("from 5-3 to 9", "last", "9"),
    ("It is -3", "last", "-3"),
    ("It is \u22123.", "last", "-3"),
    ("minus $-5", "last", "-5"),
    ("It costs $1,234,567.80.", "last", "1234567.8"),
    ("either 3,9,4", "last", "4"),
    ("about 1 1/2 cups", "last", "3/2"),
    ("3/4", "last", "3/4"),
    ("a tenth is .1", "last", "0.1"),
    ("6.02e3", "last", "6020"),
    ("18%", "last", "18"),
    ("version v2 and x5", None, None),
    ("COVID-19", "last", "19"),
    ("no idea", None, None),
    ("", None, None),
    ("1/0", None, None),
]


@pytest.mark.parametrize(("text", "rule", "value"), LADDER)
def test_the_ladder_finds_the_number(text: str, rule: str | None, value: str | None) -> None:
    """Each rule, and what it must leave to the next."""
    found = numbers.find(text, list(numbers.RULES))
    assert (rule, value) == ((found.rule, numbers.show(found.value)) if found else (None, None))


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("16.00", "16", True),
        ("$1,000", 1000, True),
        ("0.5", "1/2", True),
        ("1/3", "0.333", False),
        ("0.1", 0.1, True),
        ("0.30000000000000004", "0.3", False),
        ("100000000000000000000000000001", "100000000000000000000000000000", False),
        ("1e3", "1000", True),
        ("-0", "0", True),
        ("18", " 18.", True),
        ("-18", "18", False),
    ],
)
def test_numbers_are_compared_without_rounding(text: str, gold: object, right: bool) -> None:
    """Decimals and fractions, not floats."""
    score = number(text, gold)
    assert ("pass" if right else "fail", 1.0 if right else 0.0) == (score.outcome, score.value)


def test_scores_say_what_was_found_and_how() -> None:
    """Answer and rule are recorded, failures have a class, and no program is needed."""
    neither = {"strict-match": Share(0.0), "flexible-extract": Share(0.0)}
    assert Score("pass", 1.0, answer="18", rule="hashes", readings=neither) == number("#### 18.0")
    wrong = Score("fail", 0.0, answer="17", error_class="wrong_answer", rule="last", reason="expected 18")
    assert structs.replace(wrong, readings=neither) == number("17")
    nothing = Score("fail", 0.0, error_class="no_answer", reason="expected 18", readings=neither)
    assert nothing == number("no idea")
    assert NUMBER.program(sample(gold=1), completion("1")) is None


def test_rules_can_be_chosen() -> None:
    """The field's own rule, alone: what is not there is no answer."""
    assert "no_answer" == number("The answer is 18", rules=["hashes"]).error_class
    assert "last" == number("\\boxed{3}, or 18", rules=["last"]).rule


FIELD_RULES = [
    # text, gold, strict-match, flexible-extract
    ("9 * 2 = 18\n#### 18", "18", True, True),
    ("#### 18\n#### 19", "18", True, False),
    ("#### 1,018.", "1018", True, True),
    ("#### $18", "18", False, True),
    ("####18", "18", False, True),
    ("A: 18", "18", False, True),
    ("It costs $18.", "18", False, True),
    ("It costs $18.00", "18", False, False),
    ("18 dollars in 4 weeks", "18", False, False),
    ("18 ...", "18", False, False),
    ("-18", "-18", False, True),
    ("#### 1018", " 1,018", True, True),
    ("no idea", "18", False, False),
]


@pytest.mark.parametrize(("text", "gold", "strict", "flexible"), FIELD_RULES)
@pytest.mark.parametrize("rules", ["strict-match", "flexible-extract"])
def test_the_rules_of_the_field(text: str, gold: str, strict: bool, flexible: bool, rules: str) -> None:
    """Texts are compared, so `18.00` is wrong; either rule can be the score, and both are told beside every score."""
    score = number(text, gold, rules=rules)
    readings = {"strict-match": Share(float(strict)), "flexible-extract": Share(float(flexible))}
    assert readings == score.readings
    assert readings[rules].part == score.value
    assert (rules if score.error_class != "no_answer" else None) == score.rule
    assert readings == number(text, gold).readings


@pytest.mark.parametrize("gold", ["eighteen", "", "18 or 19", True, None, [18]])
def test_a_gold_answer_that_is_no_number_is_a_mistake_in_the_data(gold: object) -> None:
    """It is said before a model is asked, and never counted as wrong."""
    with pytest.raises(DataError, match=r"'.*' is no number; it is the field 'gold'"):
        NumberScorer({"field": "gold"}).check(sample(gold=gold))
    NUMBER.check(sample(gold="1,318"))


_PIECES = ["####", "\\boxed{", "}", "{", "answer is", "Answer:", "**", "=", "\n", " ", "1", "23", ",", ".", "/", "-"]
_PIECES += ["$", "%", "e9", "\\frac{1}{", "\\text{", "or", "\ud800", "٣", "½"]


@given(st.text(max_size=300) | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_whatever_a_model_writes_is_scored(text: str) -> None:
    """No text raises; a pass needs a number, and every rule that fired is a known one."""
    score = number(text)
    assert score.outcome in ("pass", "fail")
    assert (score.rule is None) == (score.error_class == "no_answer")
    assert score.rule is None or score.rule in numbers.RULES


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.sampled_from(["{}", "#### {}", "\\boxed{{{}}}", "The answer is {}.", "**{}**"]),
)
def test_every_decimal_is_found_again(value: Any, form: str) -> None:
    """Written plainly in any of the forms, a number equals itself."""
    if abs(value) < 10**12:
        assert "pass" == number(form.format(format(value, "f")), str(value)).outcome


@pytest.mark.parametrize(
    "piece",
    [
        "9",
        "9,999",
        "1 ",
        "answer is ",
        "answer: ",
        "\\boxed{",
        "**1",
        "= 1 ",
        "####",
        "1/",
        "#### 1. x\n",
        "{",
        "-",
        ". ",
        "$",
        "a ",
    ],
)
def test_long_texts_take_linear_time(piece: str) -> None:
    """A repetition loop of a model, twice as long, must not take four times as long: a generous bound on 400 kB."""
    text = piece * (400_000 // len(piece))
    start = time.process_time()
    number(text)
    assert time.process_time() - start < 5.0


def test_a_number_with_a_million_digits_is_safe() -> None:
    """It equals itself, differs from others, and its record stays readable."""
    huge = "7" * 1_000_000
    score = number(huge, huge)
    assert ("pass", 65) == (score.outcome, len(score.answer or ""))
    assert "fail" == number(huge, "7").outcome
    assert "fail" == number(huge, "7/3").outcome


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        ("Paris", {}, True),
        ("  Paris\n", {}, True),
        ("paris", {}, False),
        ("paris", {"ignore_case": True}, True),
        ("Paris.", {}, False),
        ("Paris.", {"ignore_punctuation": True}, True),
        ("Paris\nis the capital", {}, False),
        ("\nParis\nis the capital", {"first_line": True}, True),
        ("Lutetia", {}, False),
    ],
)
def test_exact_answers(text: str, options: dict[str, bool], right: bool) -> None:
    """White space apart nothing is forgiven unless it is asked for."""
    assert ("pass" if right else "fail") == exact(text, **options).outcome


def test_any_of_several_gold_answers_will_do() -> None:
    """A field may hold a list."""
    assert Score("pass", 1.0, answer="2", rule="exact") == exact("2", ["two", 2])
    wrong = Score("fail", 0.0, answer="3", error_class="wrong_answer", rule="exact", reason="expected two or 2")
    assert wrong == exact("3", ["two", 2])
    assert Score("fail", 0.0, error_class="no_answer", reason="expected two or 2") == exact(" \n", ["two", 2])


@pytest.mark.parametrize("gold", [[], None, "", {"a": 1}, ["..."]])
def test_an_empty_gold_answer_is_a_mistake_in_the_data(gold: object) -> None:
    """An answer that nobody can give is no question."""
    with pytest.raises(DataError, match="no gold answer"):
        ExactScorer({"field": "gold", "ignore_punctuation": True}).check(sample(gold=gold))


@pytest.mark.parametrize(
    ("scorer", "options", "message"),
    [
        (NumberScorer, {}, "score.number needs one of `answer`"),
        (NumberScorer, {"answer": "{{ a }}", "field": "a"}, "score.number needs one of `answer`"),
        (NumberScorer, {"answer": 18}, "score.number.answer is a text, not 18"),
        (NumberScorer, {"answer": "1", "ruels": []}, "score.number has no option 'ruels'"),
        (NumberScorer, {"answer": "1", "rules": ["first"]}, r"score.number.rules: \['first'\] is no list of rules"),
        (NumberScorer, {"answer": "1", "rules": []}, r"score.number.rules: \[\] is no list"),
        (
            NumberScorer,
            {"answer": "1", "rules": ["strict-match"]},
            r"score.number.rules: \['strict-match'\] is no list",
        ),
        (NumberScorer, {"answer": "1", "rules": "last"}, r"score.number.rules: \['last'\] is no list"),
        (ExactScorer, {"field": "a", "ignore_case": "yes"}, "score.exact.ignore_case is true or false, not 'yes'"),
    ],
)
def test_wrong_options_are_mistakes_of_the_task_file(scorer: Any, options: dict[str, Any], message: str) -> None:
    """They are found when the spec is checked."""
    with pytest.raises(SpecError, match=message):
        scorer(options)


def test_a_missing_field_is_named() -> None:
    """Field and option."""
    with pytest.raises(DataError, match=r"no field 'gold', which `score.exact.field` names"):
        ExactScorer({"field": "gold"}).check(sample(answer=1))


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the recorded answers of ../shared/data are not here")


@golden
@pytest.mark.parametrize("rules", [["last"], list(numbers.RULES)])
@pytest.mark.parametrize(("model", "correct"), [("6b_finetuning", 286), ("6b_verification", 515)])
def test_published_gsm8k_verdicts_are_reproduced(model: str, correct: int, rules: list[str]) -> None:
    """All 1319 published verdicts of each model, by the last number alone and by the whole ladder."""
    questions = _lines(GOLDEN / "gsm8k/test.jsonl.gz")
    solutions = _lines(GOLDEN / f"golden/gsm8k_solutions/{model}.jsonl.gz")
    scorer = NumberScorer({"answer": "{{ answer.split('####')[-1] }}", "rules": rules})
    verdicts = [
        scorer.score(sample(**questions[row["i"]]), completion(row["solution"]), None).outcome == "pass"
        for row in solutions
    ]
    assert [row["is_correct"] for row in solutions] == verdicts
    assert (1319, correct) == (len(verdicts), sum(verdicts))


@golden
@pytest.mark.parametrize("model", ["6b_finetuning", "6b_verification"])
@pytest.mark.parametrize(("rules", "replaced"), [("flexible-extract", False), ("strict-match", True)])
def test_the_rules_of_the_field_on_published_solutions(model: str, rules: str, replaced: bool) -> None:
    """Flexible agrees with each published verdict, strict with none that is right until the answers have their form."""
    questions = _lines(GOLDEN / "gsm8k/test.jsonl.gz")
    solutions = _lines(GOLDEN / f"golden/gsm8k_solutions/{model}.jsonl.gz")
    scorer = NumberScorer({"answer": "{{ answer.split('####')[-1] }}", "rules": rules})
    scores = [
        scorer.score(
            sample(**questions[row["i"]]),
            completion(row["solution"].replace("A: ", "#### ") if replaced else row["solution"]),
            None,
        )
        for row in solutions
    ]
    assert [row["is_correct"] for row in solutions] == [score.outcome == "pass" for score in scores]
    if not replaced:
        assert 0.0 == sum(score.readings["strict-match"].part for score in scores)


@golden
@pytest.mark.parametrize(("side", "correct", "flexible"), [("a", 37, 33), ("b", 49, 43)])
def test_chat_answers_are_judged_as_by_hand(side: str, correct: int, flexible: int) -> None:
    """100 chat answers that end in words: the field's lenient rule gets ten of them wrong, the ladder none."""
    rows = _lines(GOLDEN / "golden/cogumi_judge/math.jsonl.gz")
    scorer = NumberScorer({"answer": "{{ ground_truth.split('####')[-1] }}"})
    scores = [scorer.score(sample(**row), completion(row[f"response_{side}"]), None) for row in rows]
    assert [row[f"{side}_correct"] for row in rows] == [score.outcome == "pass" for score in scores]
    assert correct == sum(score.outcome == "pass" for score in scores)
    lenient = [bool(score.readings["flexible-extract"].part) for score in scores]
    known = json.loads((GOLDEN / "golden/cogumi_judge/expected.json").read_text("utf-8"))["math"]
    differ = [place for place, row in enumerate(rows) if row[f"{side}_correct"] != lenient[place]]
    assert known["lm_eval_flexible_extract"][side]["rows_that_differ"] == differ
    assert (correct, flexible) == (known[f"{side}_correct"], sum(lenient))


@pytest.mark.parametrize(
    "template",
    [
        "{{ gold }}",
        "{{ gold | lower }}",
        "{{ gold | trim | upper }}",
        "{{ more.gold }}",
        "{% if more %}{{ gold }}{% endif %}",
    ],
)
@pytest.mark.parametrize("scorer", [ExactScorer, NumberScorer])
def test_a_null_gold_answer_is_a_mistake_in_the_data(scorer: Any, template: str) -> None:
    """Never the answer 'None', which no model gives."""
    with pytest.raises(DataError, match=r"the field 'gold' is null|a part of more is null") as caught:
        scorer({"answer": template}).check(sample(gold=None, more={"gold": None}))
    assert "item 1 of task t" in str(caught.value)


@pytest.mark.parametrize("template", ["{{ gold or 'Paris' }}", "{{ 'Paris' if gold is none else gold }}", "Paris"])
def test_a_template_may_deal_with_null_itself(template: str) -> None:
    """Only what would be printed counts."""
    score = ExactScorer({"answer": template}).score(sample(gold=None), completion("Paris"), None)
    assert "pass" == score.outcome
