"""Weighted criteria: what each gives, what they add up to, and rubrics that are wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Contribution, Message, Prompt, Sample, Score
from evalkit.scorers.python_facts import FACTS, facts
from evalkit.scorers.rubric import Rubric, RubricScorer
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
    ("python.handles_empty", "def f(x):\n    return x or not x", "def f(x):\n    return x", FACTS["handles_empty"][1]),
    ("python.no_bare_except", "def f(): pass", "def f():\n  try: 1\n  except: 2", FACTS["no_bare_except"][1]),
    ("python.no_print", "def f(): pass", "def f(): print(1)", FACTS["no_print"][1]),
    (
        {"python.defines": ["f", "A.g"]},
        "def f(): 1\nclass A:\n  def g(self): 1",
        "def f(): 1",
        "it does not define A.g",
    ),
    ({"python.forbidden_calls": ["eval", "os.system"]}, "def f(): 1", "def f(): os.system('')", "it calls os.system"),
    ({"python.max_complexity": 1}, "def f(): 1", "def f():\n  if x: 1", "a function has the complexity 2"),
    ({"not_regex": "sorry"}, "done", "I am sorry", "a match of sorry"),
    ({"contains": {"texts": ["Bool", "int"], "ignore_case": True}}, "BOOL, int", "int", "it does not contain 'Bool'"),
    ({"min_lines": 2}, "a\n\nb", "a\n\n", "1 lines"),
    ({"min_chars": 3}, "abc", "ab", "2 chars"),
    ({"max_chars": 2}, "ab", "abc", "3 chars"),
    ({"json": {"path": "$.a", "exists": True}}, '{"a": 1}', '{"a": ""}', "$.a: nothing"),
    ({"json": {"path": "$.a", "exists": False}}, "{}", '{"a": 0}', "$.a: it is there"),
    ({"json": {"path": "$[*]", "min_count": 2}}, "[1, 2]", "[1]", "$[*]: 1 found"),
    ({"json": {"path": "$[*]", "max_count": 0}}, "[]", "[1]", "$[*]: 1 found"),
    ({"json": {"path": "$[*]", "regex": "^a"}}, '["b", "a"]', '["b"]', "$[*]: no match of ^a"),
    ({"json": {"path": "$[*]", "all_regex": "^a"}}, '["ab", "a"]', '["a", "b"]', "$[*]: not each matches ^a"),
    ({"json": {"path": "$[*]", "all_have": "t"}}, '[{"t": "x"}]', '[{"t": "x"}, {}]', "$[*]: not each has 't'"),
    ({"json": {"path": "$[*]", "min_length": 2}}, '["a", "abc"]', '["a"]', "$[*]: a mean length of 1"),
    ({"json": {"path": "$[*]", "equals": {"b": 1}}}, '[{"b": 1}]', "[true]", '$[*]: none is {"b": 1}'),
    ({"json": {"path": "$", "exists": True}}, "[1]", "In words.", "there is no JSON"),
]


@pytest.mark.parametrize(("check", "good", "bad", "reason"), CHECKS)
def test_each_check(check: Any, good: str, bad: str, reason: str) -> None:
    """Met, or not met with a reason."""
    assert (1.0, "") == make(check).find(Answer(good), None)
    assert (0.0, reason) == make(check).find(Answer(bad), None)


def test_the_vocabulary_is_tested() -> None:
    """No check without a line above."""
    with pytest.raises(SpecError) as caught:
        make("?")
    known = set(caught.value.hint.removeprefix("known: ").split(", "))
    by_others = {"count", "mean_length", "scorer", "ask"}  # these have tests of their own below
    assert known == {check if isinstance(check, str) else next(iter(check)) for check, *_ in CHECKS} | by_others


def test_what_counts() -> None:
    """Hits, hits of a pattern, the mean length of texts; nothing where nothing is found."""
    answer = Answer('{"a": ["xx", "yyyy", 3]}')
    assert make({"count": {"path": "$.a[*]"}}).find(answer, None).amount == 3.0
    assert make({"count": {"path": "$.a[*]", "regex": "y|3"}}).find(answer, None).amount == 2.0
    assert make({"mean_length": {"path": "$.a[*]", "per": 2}}).find(answer, None).amount == 1.5
    assert make({"mean_length": {"path": "$.b[*]"}}).find(answer, None).amount == 0.0
    assert make({"count": {"path": "$"}}).find(Answer("In words."), None) == (0.0, "there is no JSON")


def test_half_a_character_in_json() -> None:
    """JSON can spell what no text can hold."""
    found = make({"count": {"path": "$[*]", "regex": "x"}}).find(Answer(r'["x\ud800", "y\ud800"]'), None)
    assert found.amount == 1.0


def test_points_for_each_hit() -> None:
    """Up to a limit on the normalised scale; without one there is no share of all points."""
    hits = {"name": "hits", "points": 2, "each": True, "check": {"count": {"path": "$[*]"}}}
    assert rubric("[1, 2]", [hits | {"at_most": 5}]).criteria == {"hits": Contribution(4.0, 5.0, "2 of $[*]")}
    assert rubric("[1, 2, 3]", [hits | {"at_most": 5}]).value == 1.0
    endless = Rubric.make({"criteria": [hits], "scale": "raw"}, "r")
    marks = endless.judge(Answer("[1, 2, 3]"), None, {})
    assert (marks.value, marks.criteria) == (6.0, {"hits": Contribution(6.0, None, "3 of $[*]")})
    assert marks.reason is None


def test_a_scorer_by_its_name() -> None:
    """Its verdict counts as a share; what reads gold makes the rubric an oracle."""
    sound = {"name": "sound", "points": 4, "check": {"scorer": {"json_schema": {"schema": {"type": "array"}}}}}
    right = {"name": "right", "points": 6, "check": {"scorer": {"number": {"answer": "{{ gold }}"}}}}
    assert rubric("[7]", [sound]).value == 1.0
    assert not Rubric.make({"criteria": [sound]}, "r").oracle
    both = Rubric.make({"criteria": [sound, right]}, "r")
    assert both.oracle
    sample = replace(SAMPLE, row={"gold": "7"})
    assert both.judge(Answer("[7]", sample=sample), None, {}).value == 1.0
    assert both.judge(Answer("[8]", sample=sample), None, {}).value == 0.4
    assert both.judge(Answer("[7]"), None, {}).void == "the criterion 'sound' is not known: the item is not known"


@pytest.mark.parametrize("name", ["exact", "number", "code", "math_verify", "choice"])
def test_scorers_that_read_gold(name: str) -> None:
    """They compare with what is known to be right, or run tests."""
    assert registry.load("scorers", name).reads_gold is True


def test_scorers_that_read_no_gold() -> None:
    """Nor does a regex without an answer, or a rubric that reads none."""
    assert not any(registry.load("scorers", name).reads_gold for name in ("json_schema", "ifeval", "unscored"))
    regex = registry.load("scorers", "regex")
    assert not regex({"pattern": "a"}).reads_gold
    assert regex({"pattern": "a", "answer": "{{ gold }}"}).reads_gold
    assert not RubricScorer({"criteria": CAREFUL}).reads_gold


def test_the_verdict_of_the_task() -> None:
    """Read where it is known; a rubric that scores the task itself cannot read it."""
    judged = {"name": "right", "points": 5, "check": {"scorer": "task"}}
    made = Rubric.make({"criteria": [judged]}, "r")
    assert made.oracle
    assert made.judge(Answer("x"), Score("pass", 1.0), {}).value == 1.0
    assert made.judge(Answer("x"), Score("fail", 0.0, reason="no"), {}).criteria["right"].reason == "no"
    assert made.judge(Answer("x"), None, {}).void == "the criterion 'right' is not known: it has no verdict"


def test_questions_to_a_judge() -> None:
    """The share of yes is the share of points; what is not known leaves no value."""
    asked = {"name": "empty", "points": 8, "check": {"ask": "Does it handle an empty list?"}}
    made = Rubric.make({"criteria": [asked, CAREFUL[3]], "judge": "strict"}, "r")
    assert made.questions == (("empty", "Does it handle an empty list?"),)
    assert not made.oracle
    marks = made.judge(Answer("x"), None, {"empty": 0.75})
    assert marks.criteria["empty"] == Contribution(6.0, 8.0, "the judge says yes in 75%")
    assert marks.value == pytest.approx(36 / 38)
    assert made.judge(Answer("x"), None, {}).void == "the criterion 'empty' is not known: the judge gave no answer"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x):\n    if not x: return 0", True),
        ("def f(x):\n    if len(x) == 0: return 0", True),
        ("def f(x):\n    if 1 > len(x): return 0", True),
        ("def f(x):\n    return 0 if x is None else x", True),
        ("def f(x):\n    return x == []", True),
        ("def f(x):\n    while x: x.pop()", True),
        ("def f(x):\n    if x == 5: return 0", False),
        ("def f(x):\n    y = []\n    if not y: return 0", False),
        ("def f(x):\n    if len(x) == 7: return 0", False),
    ],
)
def test_empty_cases(source: str, expected: bool) -> None:
    """A parameter is asked about, not a variable, and whether it is empty."""
    assert expected == facts(source)["facts"]["handles_empty"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", 1),
        ("if a: pass\n elif b: pass\n else: pass", 3),
        ("for x in y:\n  while z: pass", 3),
        ("try: pass\n except A: pass\n except B: pass", 3),
        ("return a and b or c", 3),
        ("return [x for x in y if x if z]", 4),
        ("return 1 if a else 2", 2),
        ("match a:\n  case 1: pass\n  case 2: pass\n  case _: pass", 3),
        ("def g():\n  if a: pass\n  if b: pass\n return g", 3),
    ],
)
def test_complexity(body: str, expected: int) -> None:
    """One, and one for each place where the way can part; the most complex function counts."""
    assert expected == facts(f"def f():\n {body}")["complexity"]


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
    ({"each": True}, "check counts nothing"),
    ({"at_most": 5}, "at_most is for points for each hit"),
    ({"check": {"count": {"path": "$"}}}, "check gives points for each hit: it needs `each: true`"),
    ({"check": {"json": {"path": "$.a"}}}, "check json: asks nothing of what the path finds"),
    ({"check": {"json": {"path": "a", "exists": True}}}, "check json.path: is a path that begins with $, not 'a'"),
    ({"check": {"json": {"path": "$.a..b", "exists": True}}}, "check json.path: cannot be read from '..b' on"),
    ({"check": {"json": {"path": "$", "most": 1}}}, "check json: knows no 'most'"),
    ({"check": {"scorer": {"code": {}}}}, "check scorer: `code` executes programs, which a criterion cannot"),
    ({"check": {"scorer": {"codes": {}}}}, "check scorer: knows no scorer 'codes'"),
    ({"check": {"ask": ""}}, "check ask: is a question, not ''"),
    ({"check": {"contains": {"text": ["a"]}}}, "check contains: has `texts` and `ignore_case`"),
]
COUNTS = {"name": "c", "points": 1, "each": True, "check": {"count": {"path": "$"}}}
WRONG += [
    ({"criteria": [COUNTS]}, "score.rubric: 'c' gives points without end, so there is no share of all points"),
    ({"criteria": [COUNTS], "scale": "raw"}, "score.rubric has the raw scale, and the score of a task is in [0, 1]"),
    ({"criteria": CAREFUL, "turn": 1, "rubric": "r"}, "rubric r reads turn 1, and a task is scored by its last answer"),
    ({"criteria": CAREFUL, "turn": 0}, "score.rubric.turn is a whole number from 1, not 0"),
    (
        {"criteria": [CAREFUL[0] | {"check": {"ask": "Is it?"}}], "rubric": "r"},
        "rubric r asks a judge: it can select candidates, not score a task yet",
    ),
    (
        {"criteria": [CAREFUL[0] | {"check": {"scorer": "task"}}]},
        "score.rubric reads the verdict of the task's scorer, which is this rubric",
    ),
]
WRONG += [({"criteria": [CAREFUL[0] | field]}, f"score.rubric.criteria[0].{message}") for field, message in FIELDS]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_rubric_that_is_wrong(options: dict[str, Any], message: str) -> None:
    """Told with its place, before anything is asked."""
    with pytest.raises(SpecError) as caught:
        RubricScorer(options)
    assert caught.value.message.startswith(message)
