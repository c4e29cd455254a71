"""Answers against those of a reference program: what agrees, what MBPP+ leaves out, and the test that is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Prompt, Sample, Share, TestResult
from evalkit.scorers.agreement import agree
from evalkit.scorers.code import CodeScorer
from evalkit.scorers.mbpp_plus import arguments

_NAN = float("nan")


@pytest.mark.parametrize(
    ("got", "wanted", "expected"),
    [
        (1, 1, True),
        (1.0, 1, True),
        (1, 2, False),
        (1.0000001, 1.0, True),
        (1.00001, 1.0, False),
        ([1.0000001, 2.0], [1.0, 2.0], True),
        ((1.0000001,), [1.0], False),
        ([1.0000001], [1.0, 2.0], False),
        (1e9 + 1, 1e9, True),
        (1, 1.0000001, False),
        ([1, 2.0000001], [1, 2.0], False),
        ("a", "b", False),
        (None, 1.0, False),
        (_NAN, _NAN, True),
        ([], [], True),
        ([], [1.0], False),
    ],
)
def test_equal_or_near(got: object, wanted: object, expected: bool) -> None:
    """Only where floats are expected, and of one type with them."""
    assert expected is agree(got, wanted, ())


def test_a_tolerance_of_the_task() -> None:
    """It holds for whatever numbers are expected."""
    assert agree([1, 2.00005], [1, 2.0], (), atol=1e-4)
    assert not agree([1, 2.0005], [1, 2.0], (), atol=1e-4)


@pytest.mark.parametrize(
    ("oracle", "got", "wanted", "given", "expected"),
    [
        ("any", None, 1, (), True),
        ("set", [2, 1, 1], (1, 2), (), True),
        ("set", [2, 3], (1, 2), (), False),
        ("not_none", object(), "match", (), True),
        ("not_none", True, "match", (), True),
        ("not_none", True, None, (), False),
        ("not_none", None, "match", (), False),
        ("zero", 0, 5, (), True),
        ("zero", 4, 5, (), False),
        ("pyramid", 33, 1, (3, 4), False),
        ("pyramid", 35, 1, (3, 4), True),
        ("digits", 7, 1, (123, 256), True),
        ("digits", 8, 1, (1, 19), False),
    ],
)
def test_oracles(oracle: str, got: object, wanted: object, given: tuple[Any, ...], expected: bool) -> None:
    """The rules that a few tasks have of their own."""
    assert expected is agree(got, wanted, given, oracle)


@pytest.mark.parametrize(
    ("number", "given", "expected"),
    [
        (1, [[1]], [[1]]),
        (2, [[1], [2]], [(1,), (2,)]),
        (63, [[[1, 2]]], [[(1, 2)]]),
        (75, [[[1, 2]], 3], [[(1, 2)], 3]),
        (106, [[1], [2]], [[1], (2,)]),
        (115, [[[1], {}, []]], [[{1}, {}, {}]]),
        (124, ["0", "1j"], [0.0, 1j]),
        (252, ["(1+2j)"], [1 + 2j]),
        (259, [[[1, 2]], [[3, 4]]], [((1, 2),), ((3, 4),)]),
        (278, [[1, [2]]], [(1, (2,))]),
        (307, [[1], 2, 3], [(1,), 2, 3]),
        (580, [[1, [2, [3]]]], [(1, (2, (3,)))]),
        (722, [{"a": [1, 2]}, 3], [{"a": (1, 2)}, 3]),
    ],
)
def test_what_json_cannot_hold(number: int, given: list[Any], expected: list[Any]) -> None:
    """Tuples, sets and complex numbers come back where the task's function takes them."""
    assert expected == arguments(number, given)


OPTIONS: dict[str, Any] = {
    "style": "reference",
    "tests": ["base", "plus"],
    "reference": "solution",
    "entry_point": "name",
    "atol": "atol",
    "values": "mbpp_plus",
}
ROW: dict[str, Any] = {
    "base": [[[1], [1, 2]]],
    "plus": [[[], []], [[3], [4]]],
    "solution": "def both(a, b):\n    return tuple(set(a) & set(b))\n",
    "name": "both",
    "atol": 0,
}


def sample(**changes: Any) -> Sample:
    return Sample("t", "Mbpp/2", "code", "test", {}, Prompt(text=""), {**ROW, **changes})


def made_of(**changes: Any) -> tuple[str, ...]:
    program = CodeScorer(OPTIONS).program(sample(**changes), Completion("k", "def both(a, b): ...", "stop", None, ""))
    assert program is not None
    assert ("asserts", "", "") == (program.style, program.setup, program.preamble)  # what the program could see
    return program.tests


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("def both(a, b):\n    return tuple(x for x in a if x in b)", ""),
        ("def both(a, b):\n    a += (9,)\n    return tuple(set(a[:-1]) & set(b))", ""),
        ("def both(a, b):\n    return a", "input 1: f([], []) gave [], the reference ()"),
    ],
)
def test_the_test_that_is_made(code: str, wrong: str) -> None:
    """One statement for each list of inputs; the first input that differs is told."""
    base, plus = made_of()
    assert base.startswith("# base: 1 inputs\n")
    names: dict[str, Any] = {}
    exec(code, names)
    exec(base.rpartition("\n_evalkit_wrong")[0], names)
    exec(plus, names) if not wrong else None
    if wrong:
        with pytest.raises(AssertionError) as caught:
            exec(plus, names)
        assert "the reference" in str(caught.value)


def test_the_parts_are_told() -> None:
    """A pass needs all lists; the report says what each alone would give."""
    execution = Execution("k", "wrong_answer", (TestResult(True, "base"), TestResult(False, "plus")))
    score = CodeScorer(OPTIONS).score(sample(), Completion("k", "def both(a, b): ...", "stop", None, ""), execution)
    assert ("fail", 0.0, {"base alone": Share(1.0), "plus alone": Share(0.0)}) == (
        score.outcome,
        score.value,
        score.readings,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "x"}, "field 'base' is no list of lists of arguments"),
        ({"base": [1]}, "field 'base' is no list of lists of arguments"),
        ({"base": [[1, 2]]}, "the inputs are not those of MBPP"),
        ({"base": [], "plus": []}, "there is no input in base or plus: any program would pass"),
        ({"atol": "x"}, "field 'atol' is no number"),
        ({"name": "a b"}, "there is no function to call"),
    ],
)
def test_rows_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    """Found before anything is asked."""
    with pytest.raises(DataError, match=message):
        CodeScorer(OPTIONS).check(sample(**changes))


@pytest.mark.parametrize(
    "options",
    [
        {**OPTIONS, "reference": None},
        {**OPTIONS, "style": "asserts"},
        {"style": "asserts", "tests": "base", "atol": "atol"},
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any]) -> None:
    """The style and its options belong together."""
    with pytest.raises(SpecError, match="reference"):
        CodeScorer(options)
