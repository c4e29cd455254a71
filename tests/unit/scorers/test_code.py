"""From a row and an answer to a program, from an execution to a score."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from evalkit.core import types
from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Limits, Program, Prompt, Reference, Sample, Score
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
        ("passed", Score("pass", 1.0, _F, None, "entry_point, preamble", 1, 2)),
        ("wrong_answer", Score("fail", 0.0, _F, "wrong_answer", "entry_point, preamble", 1, 2)),
        ("violation", Score("fail", 0.0, _F, "violation", "entry_point, preamble", 1, 2)),
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


_TIMED = {**_HUMANEVAL, "reference": "canonical_solution", "reference_factor": 4, "limits": {"cpu_s": 3.0}}


def test_the_reference_of_humaneval_continues_the_prompt() -> None:
    """The published solution is a body: prompt and body make the program, under the same tests and limits."""
    row = {**_ROW, "canonical_solution": "    return 2 * x\n"}
    reference = CodeScorer(_TIMED).reference(sample(row))
    answer = CodeScorer(_TIMED).program(sample(row), completion(f"```python\n{_F}```"))
    assert reference is not None
    assert answer is not None
    assert (reference.factor, reference.floor_s) == (4.0, 1.0)
    assert reference.program == replace(answer, code=f"{_ROW['prompt']}    return 2 * x\n")


def test_the_reference_of_asserts_is_a_whole_program() -> None:
    """MBPP's `code` defines the function itself."""
    options = {"style": "asserts", "tests": "test_list", "reference": "code", "reference_factor": 4}
    row = {"test_list": ["assert f(2) == 4"], "code": _F}
    reference = CodeScorer({**options, "reference_floor_s": 0.5}).reference(sample(row))
    expected = Program("", _F, ("assert f(2) == 4",), entry_point="f")
    assert reference == Reference(expected, factor=4.0, floor_s=0.5)


def test_without_a_factor_the_reference_is_not_asked_for() -> None:
    """A task may name its reference; only a factor, of the task or of the spec, makes its time count."""
    options = {**_HUMANEVAL, "reference": "canonical_solution"}
    assert CodeScorer(options).reference(sample(_ROW)) is None
    CodeScorer(options).check(sample(_ROW))


def test_an_empty_reference_is_a_program_that_fails() -> None:
    """It is told by its outcome like any other reference that does not pass."""
    reference = CodeScorer(_TIMED).reference(sample({**_ROW, "canonical_solution": None}))
    assert reference is not None
    assert reference.program.code == ""


def test_a_row_without_the_field_of_the_reference_is_an_error() -> None:
    """Said before anything is asked."""
    with pytest.raises(DataError, match="no field 'canonical_solution'"):
        CodeScorer(_TIMED).check(sample(_ROW))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"reference_factor": 4}, "reference_factor without a reference"),
        ({"reference": "r", "reference_factor": 0}, "reference_factor must be above 0, not 0"),
        ({"reference": "r", "reference_factor": 4, "reference_floor_s": -1}, "reference_floor_s must be above 0"),
    ],
)
def test_the_rule_of_a_reference_is_checked(more: dict[str, object], message: str) -> None:
    """A factor needs a program, and both numbers are above nothing."""
    with pytest.raises(SpecError, match=message):
        CodeScorer({"style": "asserts", "tests": "t", **more})


def test_the_reference_of_a_program_for_stdin_is_run_whole() -> None:
    """It is judged by the same texts as the answers."""
    options = {"style": "stdin", "tests": "tests", "reference": "solution", "reference_factor": 4}
    row = {"tests": [{"input": "1\n", "output": "2\n"}], "solution": "print(2 * int(input()))"}
    reference = CodeScorer(options).reference(sample(row))
    answer = CodeScorer(options).program(sample(row), completion("```python\nprint(3)\n```"))
    assert reference is not None
    assert answer is not None
    assert reference.program == replace(answer, code="print(2 * int(input()))")


def test_the_preamble_is_an_option_and_part_of_the_rule() -> None:
    """It is worth points: a score says whether the prompt's own code ran before the answer."""
    row, answer = sample(_ROW), completion(f"```python\n{_F}```")
    passed = Execution("k", "passed", ())
    with_it, without = CodeScorer(_HUMANEVAL), CodeScorer({**_HUMANEVAL, "preamble": "none"})
    assert ["entry_point, preamble", "entry_point"] == [
        scorer.score(row, answer, passed).rule for scorer in (with_it, without)
    ]
    program = without.program(row, answer)
    assert program is not None
    assert "" == program.preamble
