"""Programs that are run whole, tests inside the program's own process, and clocks that are fair on a busy machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evalkit.core.types import Execution, Limits
from evalkit.sandboxes.docker import build

Judge = Callable[..., Execution]
_SUM = "numbers = map(int, input().split())\nprint(sum(numbers))\n"


def pair(stdin: str, stdout: str) -> str:
    return json.dumps({"stdin": stdin, "stdout": stdout})


@pytest.fixture
def whole(judge: Judge) -> Judge:
    def run(code: str, *tests: tuple[str, str], **more: object) -> Execution:
        texts = [pair(*test) for test in tests]
        return judge(code, *texts, style="stdin", entry_point=None, **more)

    return run


def told(found: Execution) -> list[tuple[bool, str, str]]:
    return [(test.passed, test.label, test.message) for test in found.tests]


def test_each_input_is_a_test(whole: Judge) -> None:
    """The label is the input; a wrong line is shown beside the one that was wanted."""
    found = whole(_SUM, ("1 2\n", "3\n"), ("4 5\n", "10\n"), ("1\n", "1"))
    expected = [
        (True, "1 2\n", ""),
        (False, "4 5\n", "line 1: got '9', expected '10'"),
        (True, "1\n", ""),
    ]
    assert ("wrong_answer", None, expected[1][2]) == (found.outcome, found.exception, found.message)
    assert expected == told(found)


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
        "import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))",
        "import os\nprint(sum(map(int, os.read(0, 99).split())))",
        "import sys\nsys.stdout.write(str(sum(map(int, sys.stdin.buffer.readline().split()))) + '   \\n\\n')",
        "def main():\n    print(sum(map(int, input().split())))\n\n\nif __name__ == '__main__':\n    main()",
        "import sys\nprint(sum(map(int, input().split())))\nsys.exit(0)\nprint('never')",
        "import os, sys\nprint(sum(map(int, input().split())))\nsys.stdout.flush()\nos._exit(0)",
        "print(sum(map(int, open(0).read().split())))",
    ],
)
def test_honest_ways_to_read_and_to_end(whole: Judge, code: str) -> None:
    """However stdin is read, and however a program ends with status 0, what it printed counts."""
    found = whole(code, ("1 2\n", "3\n"), ("40 2\n", "42"))
    assert ("passed", [True, True]) == (found.outcome, [test.passed for test in found.tests]), found


@pytest.mark.parametrize(
    ("code", "outcome", "exception"),
    [
        ("print(input() + input())", "runtime_error", "EOFError"),
        ("print(3)\nraise SystemExit(2)", "runtime_error", "SystemExit"),
        ("print(3)\nimport os\nos._exit(1)", "runtime_error", "SystemExit"),
        ("print(3", "syntax_error", "SyntaxError"),
        ("while True:\n    pass", "timeout", None),
        ("while True:\n    print('x' * 10000)", "output_limit", None),
        ("x = [0] * 10 ** 9", "memory", "MemoryError"),
        ("", "wrong_answer", None),
        ("print(4)\nprint(3)", "wrong_answer", None),
        ("import sys\nsys.stderr.write('3')", "wrong_answer", None),
        ('print(\'{"outcome": "passed"}\')', "wrong_answer", None),
    ],
)
def test_ways_to_fail(whole: Judge, code: str, outcome: str, exception: str | None) -> None:
    """Each failure has its class; the right text on the way to a bad end is no pass."""
    found = whole(code, ("1 2\n", "3\n"), limits=Limits(wall_s=10.0, cpu_s=1.0, memory_mb=256))
    assert (outcome, exception, [False]) == (found.outcome, found.exception, [test.passed for test in found.tests])


def test_after_a_timeout_nothing_more_is_run(whole: Judge) -> None:
    """A program that hangs would use up its time on every test."""
    found = whole("while True:\n    pass", *[("1\n", "1\n")] * 3, limits=Limits(wall_s=10.0, cpu_s=0.3))
    reason = "more than 0.3 s of processor time"
    assert [(False, "1\n", reason), (False, "1\n", f"not run: {reason}")] == told(found)[:2]
    assert (found.cpu_s or 0) < 2.0


def test_runs_do_not_see_each_other(whole: Judge) -> None:
    """Each input meets a process of its own, and empty folders."""
    code = (
        "import os\nprint(os.path.exists('/tmp/seen') or os.path.exists('seen'))\n"
        "open('/tmp/seen', 'w').close()\nopen('seen', 'w').close()\n"
    )
    found = whole(code, ("", "False"), ("", "False"))
    assert "passed" == found.outcome


def test_in_process_tests_see_the_programs_globals(judge: Judge) -> None:
    """What cannot cross the wall can be tested inside, and the execution says so."""
    code = "import threading\nLOCK = threading.Lock()\n\n\ndef f(x):\n    with LOCK:\n        return 2 * x\n"
    tests = ("assert type(LOCK).__name__ == 'lock'", "assert f.__globals__['LOCK'] is LOCK", "assert f(2) == 5")
    found = judge(code, *tests, in_process=True)
    expected = [
        (True, tests[0], ""),
        (True, tests[1], ""),
        (False, tests[2], "the assertion is false"),
    ]
    assert ("wrong_answer", True, expected) == (found.outcome, found.in_process, told(found))
    assert not judge(code, "assert f(2) == 4").in_process


def test_in_process_check(judge: Judge) -> None:
    """HumanEval's form is one test there."""
    check = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
    found = judge("def f(x):\n    return 2 * x\n", check, style="check", in_process=True)
    assert ("passed", 1) == (found.outcome, len(found.tests))
    found = judge("def f(x):\n    return 4\n", check, style="check", in_process=True)
    assert "wrong_answer" == found.outcome


@pytest.mark.parametrize("code", ["import os\nos._exit(0)", "def f(x):\n    import os\n    os._exit(0)\n"])
def test_leaving_early_is_no_pass_in_process_either(judge: Judge, code: str) -> None:
    """Without results for every test there is no verdict but a failure."""
    found = judge(code, "assert f(2) == 4", in_process=True)
    assert ("runtime_error", "SystemExit") == (found.outcome, found.exception)


_HOG = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


@pytest.fixture
def busy(client: Any) -> Iterator[None]:
    """A machine that others use: three spinning containers for each processor. The kernel shares time out by container,
    so processes of ours would take little from the sandbox."""
    made = build(print)
    hogs = [
        client.containers.run(made, ["-c", _HOG], entrypoint="python3", remove=True, network_mode="none", detach=True)
        for _ in range(3 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()


_SPIN = "import time\n\n\ndef f(x):\n    while time.process_time() < 1.2:\n        pass\n    return 2 * x\n"


def test_waiting_for_a_processor_is_no_timeout(judge: Judge, busy: None) -> None:
    """1.2 s of work within a wall clock of 1.5 s passes though others keep the processors: that wait is not its own."""
    found = judge(_SPIN, "assert f(2) == 4", limits=Limits(wall_s=1.5, cpu_s=5.0, memory_mb=512))
    assert "passed" == found.outcome, found
    assert (found.wall_s or 0) > 1.5  # else the machine was not busy, and this test would show nothing


def test_sleeping_is_a_timeout_on_a_busy_machine_too(judge: Judge, busy: None) -> None:
    """The wall clock of a program that waits for nothing but itself is not stretched."""
    code = "import time\n\n\ndef f(x):\n    time.sleep(60)\n"
    found = judge(code, "assert f(2) == 4", limits=Limits(wall_s=1.5, cpu_s=5.0, memory_mb=512))
    assert ("timeout", "no end after 1.5 s") == (found.outcome, found.message)
    assert (found.wall_s or 99) < 6.0


def test_processor_time_is_counted_in_parts_of_seconds(judge: Judge) -> None:
    """A limit of 0.4 s ends a program long before the kernel's own limit in whole seconds does."""
    found = judge(_SPIN, "assert f(2) == 4", limits=Limits(wall_s=10.0, cpu_s=0.4, memory_mb=512))
    assert ("timeout", "more than 0.4 s of processor time") == (found.outcome, found.message)
    assert 0.3 < (found.cpu_s or 0) < 0.9
