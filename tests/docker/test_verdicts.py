"""What the sandbox reports about a program besides its class."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core import types
from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Limits, Program, Void

Judge = Callable[..., Execution]
_DOUBLE = "def f(x):\n    return 2 * x\n"


def result_of(passed: bool, label: str, message: str = "") -> types.TestResult:
    return types.TestResult(passed, label, message)


def test_each_assert_is_judged_on_its_own(judge: Judge) -> None:
    """A failure does not keep later asserts from being tried, and says what came and what was wanted."""
    found = judge(
        _DOUBLE, "assert f(1) == 2", "assert f(2) == 5", "assert f('a') == 'aa', 'text'", "assert f(3) > 7, 'no'"
    )
    expected = (
        result_of(True, "assert f(1) == 2"),
        result_of(False, "assert f(2) == 5", "got 4, expected 5"),
        result_of(True, "assert f('a') == 'aa', 'text'"),
        result_of(False, "assert f(3) > 7, 'no'", "got 6, expected 7 (no)"),
    )
    assert expected == found.tests
    assert (
        found.outcome,
        found.exception,
        found.message,
        found.tests_passed,
    ) == ("wrong_answer", None, "got 4, expected 5", 2)


def test_each_assert_of_a_check_is_judged_on_its_own(judge: Judge) -> None:
    """In HumanEval's style the function goes on after a failed assert; one in a loop passes when all its rounds do."""
    check = (
        "def check(candidate):\n"
        "    assert candidate(1) == 2\n"
        "    for n in range(4):\n"
        "        assert candidate(n) < 5\n"
        "    for n in range(3):\n"
        "        assert candidate(n) == n + n\n"
        "    assert candidate(\n"
        "        4\n"
        "    ) == 8\n"
    )
    found = judge(_DOUBLE, check, style="check")
    assert found.tests == (
        result_of(True, "assert candidate(1) == 2"),
        result_of(False, "assert candidate(n) < 5", "got 6, expected 5"),
        result_of(True, "assert candidate(n) == n + n"),
        result_of(True, "assert candidate( 4 ) == 8"),
    )
    assert found.outcome == "wrong_answer"


def test_what_an_error_outside_of_the_asserts_leaves(judge: Judge) -> None:
    """What could not be reached has not passed."""
    check = "def check(candidate):\n    assert candidate(1) == 2\n    x = candidate(None)\n    assert x == 1\n"
    found = judge(_DOUBLE, check, style="check")
    assert [test.passed for test in found.tests] == [True, False]
    assert (found.outcome, found.exception) == ("runtime_error", "TypeError")
    assert found.message.startswith("TypeError: unsupported operand type(s)")
    assert found.message.endswith("(line 2)")


def test_an_assert_with_a_comma_has_a_message(judge: Judge) -> None:
    """`assert f(x) == -1,-6` compares with -1; as a tuple it would always be true."""
    wrong = judge("def f(x):\n    return 0\n", "assert f([1]) == -1,-6")
    assert (wrong.outcome, wrong.message) == ("wrong_answer", "got 0, expected -1 (-6)")
    assert judge("def f(x):\n    return -1\n", "assert f([1]) == -1,-6").outcome == "passed"


def test_output_is_told_by_its_end(judge: Judge) -> None:
    """The last part of both streams is kept, bytes that are no text are escaped."""
    code = (
        "import os, sys\n"
        "def f(x):\n"
        "    for n in range(5000):\n"
        "        print('line', n)\n"
        "    os.write(2, b'\\xff end')\n"
        "    return 2 * x\n"
    )
    found = judge(code, "assert f(1) == 2", limits=Limits(wall_s=20, cpu_s=5, memory_mb=512, output_kb=1))
    assert found.stdout.endswith("line 4998\nline 4999\n")
    assert len(found.stdout) == 1024
    assert found.stderr == "\\xff end"


def test_times_and_memory_are_measured(judge: Judge) -> None:
    """Processor time and peak memory are the program's own."""
    code = (
        "import time\n"
        "def f(x):\n"
        "    block = bytearray(b'x' * (100 << 20))\n"
        "    end = time.process_time() + 0.3\n"
        "    while time.process_time() < end:\n"
        "        pass\n"
        "    return 2 * x\n"
    )
    found = judge(code, "assert f(1) == 2")
    assert found.outcome == "passed"
    assert found.cpu_s is not None
    assert found.wall_s is not None
    assert found.peak_mb is not None
    assert 0.3 <= found.cpu_s <= 5
    assert found.wall_s >= 0.3
    assert 100 <= found.peak_mb <= 300


def test_both_clocks(judge: Judge) -> None:
    """A program that computes ends by its processor time, one that sleeps by the wall clock."""
    limits = Limits(wall_s=3.0, cpu_s=30.0, memory_mb=512)
    sleeps = judge("import time\ndef f(x):\n    time.sleep(60)\n", "assert f(1) == 2", limits=limits)
    assert (sleeps.outcome, sleeps.message) == ("timeout", "no end after 3 s")
    limits = Limits(wall_s=60.0, cpu_s=1.0, memory_mb=512)
    computes = judge("def f(x):\n    while True: pass\n", "assert f(1) == 2", limits=limits)
    assert (computes.outcome, computes.message) == ("timeout", "more than 1 s of processor time")


def test_what_passed_before_the_end_still_counts(judge: Judge) -> None:
    """A timeout in the second test leaves the first as it was and the third not run."""
    code = "def f(x):\n    while x == 2: pass\n    return 2 * x\n"
    limits = Limits(wall_s=30.0, cpu_s=1.0, memory_mb=512)
    found = judge(code, "assert f(1) == 2", "assert f(2) == 4", "assert f(3) == 6", limits=limits)
    assert [test.passed for test in found.tests] == [True, False, False]
    assert [test.message for test in found.tests] == [
        "",
        "more than 1 s of processor time",
        "not run: more than 1 s of processor time",
    ]


def test_the_first_failure_gives_the_class(judge: Judge) -> None:
    """A wrong answer stays a wrong answer when a later test hangs."""
    code = "def f(x):\n    while x == 2: pass\n    return 0\n"
    limits = Limits(wall_s=30.0, cpu_s=1.0, memory_mb=512)
    assert judge(code, "assert f(1) == 2", "assert f(2) == 4", limits=limits).outcome == "wrong_answer"


def test_tests_that_judge_nothing_are_void(sandbox: Sandbox) -> None:
    """No tests, tests that do not compile, a prompt that does not run: the data's fault, not the program's."""
    broken = [
        Program("none", _DOUBLE, ()),
        Program("syntax", _DOUBLE, ("assert f(",)),
        Program("no assert", _DOUBLE, ("def check(candidate):\n    pass\n",), style="check", entry_point="f"),
        Program("no check", _DOUBLE, ("assert True",), style="check", entry_point="f"),
        Program("no entry", _DOUBLE, ("def check(candidate):\n    assert candidate(1) == 2",), style="check"),
        Program("preamble", _DOUBLE, ("assert True",), preamble="import nothing_like_this"),
        Program("setup", _DOUBLE, ("assert True",), setup="import nothing_like_this"),
    ]
    results = [sandbox.submit(program).result(60) for program in broken]
    assert [result.reason if isinstance(result, Void) else result.outcome for result in results] == [
        "there are no tests",
        "test 1 does not compile: '(' was never closed (<test 0>, line 1)",
        "the tests hold no assert statement",
        "the tests define no function 'check'",
        "tests of the style 'check' need an entry point",
        "the preamble does not run: ModuleNotFoundError: No module named 'nothing_like_this'",
        "the setup does not run: ModuleNotFoundError: No module named 'nothing_like_this'",
    ]


def test_verdicts_repeat(judge: Judge) -> None:
    """Random numbers and the order of sets of strings are the same in every run."""
    code = "import random\ndef f(x):\n    return [random.random(), list({'a', 'b', 'c', 'd', 'e'})]\n"
    messages = {judge(code, "assert f(1) == 0").message for _ in range(6)}
    assert len(messages) == 1
