"""Lines to and from the worker."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core import types
from evalkit.core.types import Execution, Limits, Program, Void
from evalkit.sandboxes.messages import BadReply, job_line, read_ready, read_result

_PROGRAM = Program(key="k", code="x = '\ud800'", tests=("assert x",), limits=Limits(wall_s=3, cpu_s=1.5))
_RESULT = {
    "id": 4,
    "outcome": "wrong_answer",
    "exception": None,
    "message": "got 1",
    "tests": [[False, "assert x", "got 1"]],
    "stdout": "",
    "stderr": "e",
    "wall_s": 0.1,
    "cpu_s": 0.05,
    "peak_mb": 12.0,
}


def test_a_job_is_one_ascii_line() -> None:
    """Lone surrogates, line breaks and everything else of a program fit into one line."""
    line = job_line(4, _PROGRAM)
    assert line.count(b"\n") == 1
    job = json.loads(line)
    assert (4, _PROGRAM.code, ["assert x"], 3, 1.5) == (
        job["id"],
        job["code"],
        job["tests"],
        job["wall_s"],
        job["cpu_s"],
    )


def test_a_result_becomes_an_execution() -> None:
    """Every field finds its place, under the program's key."""
    expected = Execution(
        key="k",
        outcome="wrong_answer",
        tests=(types.TestResult(False, "assert x", "got 1"),),
        message="got 1",
        stderr="e",
        wall_s=0.1,
        cpu_s=0.05,
        peak_mb=12.0,
    )
    assert expected == read_result(json.dumps(_RESULT).encode(), 4, _PROGRAM)


def test_void_is_not_an_execution() -> None:
    """What the worker could not judge stays void with its reason."""
    line = json.dumps({**_RESULT, "outcome": None, "void": "no tests"}).encode()
    assert Void(key="k", reason="no tests", by="sandbox") == read_result(line, 4, _PROGRAM)


@pytest.mark.parametrize(
    "change", [{"id": 5}, {"outcome": "great"}, {"outcome": None}, {"tests": [[1]]}, {"wall_s": "long"}, {"id": None}]
)
def test_another_answer_is_refused(change: dict[str, object]) -> None:
    """An answer to another job, an unknown class, a missing verdict: the container is not to be trusted."""
    with pytest.raises(BadReply):
        read_result(json.dumps({**_RESULT, **change}).encode(), 4, _PROGRAM)


@given(st.binary())
def test_any_bytes_are_refused(line: bytes) -> None:
    """Whatever a container writes, the parent says so and lives on."""
    with pytest.raises(BadReply):
        read_result(line, 4, _PROGRAM)


def test_ready() -> None:
    """A worker of another protocol is not used."""
    assert read_ready(b'{"ready": 2, "python": "3.11.2"}') == "3.11.2"
    with pytest.raises(BadReply, match="protocol 1"):
        read_ready(b'{"ready": 1, "python": "3.11.2"}')


def test_both_ends_give_a_starved_program_the_same_time() -> None:
    """The worker may stretch the wall clock as far as the pool waits for it, and no further."""
    from evalkit.sandboxes import messages
    from sandbox import clock

    assert clock.LONGEST_STRETCH == messages._LONGEST_STRETCH
