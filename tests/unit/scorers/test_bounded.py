"""Work that may not end: stopped by processor time, told apart from other failures, and the next job is done."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from evalkit.scorers.bounded import BoundedProcess, Exceeded

HERE = "evalkit.scorers.regex:search"
PLAIN = {"pattern": "a+", "text": "baac", "last": False, "whole": False, "ignore_case": False}
ENDLESS = PLAIN | {"pattern": "(a+)+$", "text": "a" * 60 + "b"}


@pytest.fixture(scope="module")
def process() -> Iterator[BoundedProcess]:
    """One helper process for the tests of this module."""
    made = BoundedProcess()
    yield made
    made.close()


def test_a_job_answers(process: BoundedProcess) -> None:
    """The value that the function made; the same process does the next."""
    assert ["aa", None] == [process.call(HERE, PLAIN | {"text": text}, 5) for text in ("baac", "x")]


def test_a_job_that_does_not_end_is_stopped(process: BoundedProcess) -> None:
    """Even one that holds the interpreter's lock; and what follows is answered by a new process."""
    start = time.monotonic()
    with pytest.raises(Exceeded) as caught:
        process.call(HERE, ENDLESS, 1)
    assert "time" == caught.value.cause
    assert time.monotonic() - start < 60.0
    assert "aa" == process.call(HERE, PLAIN, 5)


def test_budgets_do_not_add_up(process: BoundedProcess) -> None:
    """Each job has its own: what earlier jobs used is not taken from it."""
    slow = {"hundredths": 40}
    assert [None] * 8 == [process.call("tests_bounded_jobs:spin", slow, 1) for _ in range(8)]


@pytest.mark.parametrize(
    ("job", "arguments", "cause", "reason"),
    [
        ("tests_bounded_jobs:fail", {}, "died", "ZeroDivisionError: division by zero"),
        ("tests_bounded_jobs:exit", {}, "died", "the helper process ended with code 3"),
        ("tests_bounded_jobs:grow", {}, "memory", "MemoryError"),
        ("no_such_module:x", {}, "died", "ModuleNotFoundError"),
    ],
)
def test_failures_are_told_apart(
    process: BoundedProcess, job: str, arguments: dict[str, int], cause: str, reason: str
) -> None:
    """Each with its reason; none ends the parent, and the next job is done."""
    with pytest.raises(Exceeded, match=re.escape(reason)) as caught:
        process.call(job, arguments, 5)
    assert cause == caught.value.cause
    assert "aa" == process.call(HERE, PLAIN, 5)


def test_what_a_job_prints_does_not_disturb(process: BoundedProcess) -> None:
    """Standard output belongs to the answers."""
    assert "done" == process.call("tests_bounded_jobs:chatter", {}, 5)


def test_the_process_ends_with_its_owner() -> None:
    """Closed or forgotten, nothing is left behind."""
    made = BoundedProcess()
    pid = made.call("tests_bounded_jobs:pid", {}, 5)
    made.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "aa" == made.call(HERE, PLAIN, 5)
    made.close()


@pytest.fixture(scope="module", autouse=True)
def _jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Jobs that misbehave, where the helper process can import them."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "tests_bounded_jobs.py").write_text(_JOBS, "utf-8")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))
    yield
    patch.undo()


_JOBS = """
import os, time

def spin(hundredths):
    end = time.process_time() + hundredths / 100
    while time.process_time() < end:
        pass

def fail():
    1 / 0

def exit():
    os._exit(3)

def grow():
    return len(bytearray(1 << 40))

def chatter():
    print('x' * 1000)
    os.write(1, b'raw')
    return 'done'

def pid():
    return os.getpid()
"""
