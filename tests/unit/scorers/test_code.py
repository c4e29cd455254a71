"""From a row and an answer to a program, from an execution to a score."""

from __future__ import annotations

import pytest

from evalkit.core import types
from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Limits, Program, Prompt, Sample, Score
from evalkit.scorers.code import CodeScorer

_F = "def f(x):\n    return 2 * x\n"
_HUMANEVAL = {"style": "humaneval", "prompt": "prompt", "tests": "test", "entry_point": "entry_point"}
_ROW = {
    "prompt": "import math\n\ndef f(x):\n    '''Twice.'''\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "entry_point": "f",
}


def sample(row: dict[str, object]) -> Sample:
    return Sample("task", "7", "code", "test", {}, Prompt(text=""), row)


def completion(text: str) -> Completion:
    return Completion("k", text, "stop", None, "")


def test_humaneval_program() -> None:
    """The prompt's head is the preamble, the row's test the check, the answer's block the code."""
    expected = Program(
        key="",
        code=_F,
        tests=(str(_ROW["test"]),),
        style="check",
        preamble="import math\n\n",
        entry_point="f",
    )
    assert expected == CodeScorer(_HUMANEVAL).program(sample(_ROW), completion(f"```python\n{_F}```"))


def test_asserts_program() -> None:
    """Every assert is a test, the name comes from the asserts, the setup from its field, limits from the options."""
    options = {"style": "asserts", "tests": "test_list", "setup": "test_imports"} | {"limits": {"wall_s": 3.0}}
    row = {"test_list": ["assert f(2) == 4", "assert f(0) == 0"], "test_imports": ["import math", "import re"]}
    expected = Program(
        key="",
        code=_F,
        tests=("assert f(2) == 4", "assert f(0) == 0"),
        setup="import math\nimport re",
        entry_point="f",
        limits=Limits(wall_s=3.0),
    )
    assert expected == CodeScorer(options).program(sample(row), completion(_F))


def test_no_code_is_a_failure_without_an_execution() -> None:
    """Nothing is run, and the class says why."""
    scorer = CodeScorer(_HUMANEVAL)
    answer = completion("I do not know.")
    assert scorer.program(sample(_ROW), answer) is None
    assert Score(outcome="fail", value=0.0, error_class="no_code") == scorer.score(sample(_ROW), answer, None)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("passed", Score("pass", 1.0, _F, None, "entry_point", 1, 2)),
        ("wrong_answer", Score("fail", 0.0, _F, "wrong_answer", "entry_point", 1, 2)),
        ("violation", Score("fail", 0.0, _F, "violation", "entry_point", 1, 2)),
    ],
)
def test_score(outcome: types.ExecutionClass, expected: Score) -> None:
    """Only the execution's outcome decides, whatever the counts say."""
    tests = (types.TestResult(True, "a"), types.TestResult(False, "b"))
    execution = Execution("k", outcome, tests)
    assert expected == CodeScorer(_HUMANEVAL).score(sample(_ROW), completion(f"```\n{_F}```"), execution)


def test_a_program_that_was_not_run_is_void() -> None:
    """Missing is not wrong."""
    score = CodeScorer(_HUMANEVAL).score(sample(_ROW), completion(_F), None)
    assert (score.outcome, score.value, score.reason) == ("void", None, "the program was not run")


@pytest.mark.parametrize(
    "options", [{}, {"style": "other", "tests": "t"}, {"style": "asserts", "tests": "t", "test": "t"}]
)
def test_options_are_checked(options: dict[str, object]) -> None:
    """An unknown or missing option is the spec's error."""
    with pytest.raises(SpecError, match="scorer 'code'"):
        CodeScorer(options)


@pytest.mark.parametrize(
    ("row", "message"), [({"prompt": ""}, "no field 'entry_point'"), ({**_ROW, "test": []}, "holds no tests")]
)
def test_rows_are_checked(row: dict[str, object], message: str) -> None:
    """A row without its tests names the task, the item and the field."""
    with pytest.raises(DataError, match=message) as caught:
        CodeScorer(_HUMANEVAL).program(sample(row), completion(_F))
    assert caught.value.where == "task/7"
