"""Jobs to the worker and results from it, one JSON line each. The other end is `sandbox/runner.py`."""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec
from msgspec import Struct

from evalkit.core.types import Execution, ExecutionClass, Program, TestResult, Void

PROTOCOL = 2
_LONGEST_STRETCH = 9.0  # of the wall clock, as in sandbox/clock.py
_GRACE_S = 20.0
_T = TypeVar("_T")


class BadReply(Exception):
    """The container said something that the worker never says."""


class _Ready(Struct):
    ready: int
    python: str


class _Verdict(Struct):
    id: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    stdout: str
    stderr: str
    void: str | None = None
    outcome: ExecutionClass | None = None
    exception: str | None = None
    message: str = ""
    tests: tuple[tuple[bool, str, str], ...] = ()


def job_line(number: int, program: Program) -> bytes:
    """The line that asks for `program`; lone surrogates, which models do emit, survive as escapes."""
    limits = program.limits
    job = {
        "id": number,
        "code": program.code,
        "tests": program.tests,
        "style": program.style,
        "in_process": program.in_process,
        "preamble": program.preamble,
        "setup": program.setup,
        "entry_point": program.entry_point,
        "wall_s": limits.wall_s,
        "cpu_s": limits.cpu_s,
        "memory_mb": limits.memory_mb,
        "output_kb": limits.output_kb,
    }
    return json.dumps(job).encode("ascii") + b"\n"


def silence_s(program: Program) -> float:
    """Seconds after which a worker that still says nothing about a running program must be lost.

    A program that is run whole has the wall clock's time for each of its tests; one that times out is not run again.
    """
    runs = len(program.tests) if program.style == "stdin" else 1
    return program.limits.wall_s * (1.0 + _LONGEST_STRETCH) * max(1, runs) + _GRACE_S


def read_ready(line: bytes) -> str:
    """The Python version of the worker. Raises BadReply."""
    ready = _read(line, _Ready)
    if ready.ready != PROTOCOL:
        raise BadReply(f"the worker speaks protocol {ready.ready}, not {PROTOCOL}")
    return ready.python


def read_result(line: bytes, number: int, program: Program) -> Execution | Void:
    """What the worker found out about `program`, sent as job `number`. Raises BadReply."""
    verdict = _read(line, _Verdict)
    if verdict.id != number:
        raise BadReply(f"an answer to job {verdict.id}, expected {number}")
    if verdict.void is not None:
        return Void(key=program.key, reason=verdict.void, by="sandbox")
    if verdict.outcome is None:
        raise BadReply("an answer without an outcome")
    return Execution(
        key=program.key,
        outcome=verdict.outcome,
        tests=tuple(TestResult(passed, label, message) for passed, label, message in verdict.tests),
        exception=verdict.exception,
        message=verdict.message,
        stdout=verdict.stdout,
        stderr=verdict.stderr,
        wall_s=verdict.wall_s,
        cpu_s=verdict.cpu_s,
        peak_mb=verdict.peak_mb,
        in_process=program.in_process,
    )


def _read(line: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply(f"{error}: {line[:120]!r}") from error
