"""Tests of programs that read stdin, in the forms that data sets give them."""

from __future__ import annotations

import json

import pytest

from evalkit.core.errors import DataError
from evalkit.core.types import Completion, Json, Program, Prompt, Sample
from evalkit.scorers.code import CodeScorer
from evalkit.scorers.stdin_tests import stdin_tests

_WANTED = ('{"stdin": "1 2", "stdout": "3"}', '{"stdin": "4", "stdout": "4"}')


@pytest.mark.parametrize(
    "value",
    [
        [{"input": "1 2", "output": "3"}, {"input": "4", "output": "4", "testtype": "stdin"}],
        [{"stdin": "1 2", "stdout": "3"}, {"stdin": "4", "stdout": "4"}],
        {"inputs": ["1 2", "4"], "outputs": ["3", "4"]},
        json.dumps({"inputs": ["1 2", "4"], "outputs": [["3"], "4"]}),
        json.dumps([{"input": "1 2", "output": "3"}, {"input": "4", "output": "4"}]),
    ],
)
def test_forms(value: Json) -> None:
    """All of them mean the same."""
    assert _WANTED == stdin_tests(value, "t/1")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[{", "t/1: the tests are no JSON: Expecting property name"),
        ([], "t/1: there are no tests"),
        (7, "t/1: the tests are no list"),
        ([{"input": "1"}], "t/1: a test has no input and output"),
        ({"inputs": ["1"], "outputs": []}, "t/1: inputs and outputs are not two lists of one length"),
        ([{"input": 1, "output": "1"}], "t/1: input and output must be text"),
    ],
)
def test_trouble_names_the_row(value: Json, message: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(DataError) as caught:
        stdin_tests(value, "t/1")
    assert message in str(caught.value)


def test_program() -> None:
    """The whole answer's code, no entry point, no preamble."""
    row = {"prompt": "Add.", "cases": [{"input": "1 2", "output": "3"}, {"input": "4", "output": "4"}]}
    scorer = CodeScorer({"style": "stdin", "tests": "cases", "extract": "first_block"})
    sample = Sample("t", "1", "code", "test", {}, Prompt(text=""), row)
    answer = Completion("k", "Here:\n```python\nprint(sum(map(int, input().split())))\n```", "stop", None, "")
    expected = Program(key="", code="print(sum(map(int, input().split())))\n", tests=_WANTED, style="stdin")
    assert expected == scorer.program(sample, answer)
