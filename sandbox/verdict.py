"""From evidence to a class: what the judge wrote, how the program's process ended, how much it printed."""

from __future__ import annotations

import json
import os
import signal
from typing import Any, NamedTuple

from . import report

SIGNALS = {number.value: number.name for number in signal.Signals}
_LABEL = 500


class Failure(NamedTuple):
    """Why a program did not pass: class, exception type, message."""

    outcome: str
    exception: str | None
    message: str


class End(NamedTuple):
    """How a run ended: what the spawner saw of the process, and what the runner itself had to do about it."""

    process: report.End
    late: bool
    too_much_cpu: bool
    judge_died: bool
    printed: int


class Notes:
    """What the judge wrote, line by line."""

    def __init__(self) -> None:
        self.plan: list[str] = []
        self.tests: dict[int, tuple[bool, str]] = {}
        self.failure: Failure | None = None
        self.violation: str | None = None
        self.void: str | None = None
        self.gone = False
        self.ended = False
        self.again = False

    def add(self, line: bytes) -> None:
        tree = json.loads(line)
        if "plan" in tree:
            self.plan = tree["plan"]
        elif "test" in tree:
            index, passed, message = tree["test"]
            self.tests[index] = (passed, message)
        elif "failure" in tree:
            self.failure = Failure(*tree["failure"])
        elif "violation" in tree:
            self.violation = tree["violation"]
        elif "void" in tree:
            self.void = tree["void"]
        elif "gone" in tree:
            self.gone = True
        elif "end" in tree:
            self.ended, self.again = True, tree["end"]

    def all_passed(self) -> bool:
        return len(self.tests) == len(self.plan) and all(passed for passed, _ in self.tests.values())

    def results(self, reason: str) -> list[list[Any]]:
        """One entry a test; the first without a result is the one that ended it all, the others were not run."""
        entries: list[list[Any]] = []
        left = reason
        for index, label in enumerate(self.plan):
            passed, text = self.tests.get(index, (False, left))
            if index not in self.tests:
                left = f"not run: {reason}"
            entries.append([passed, clean(label), clean(text)[:_LABEL]])
        return entries


def decide(job: dict[str, Any], notes: Notes, end: End, output_bytes: int) -> dict[str, Any]:
    """The verdict's part of a result: `void`, or outcome, exception, message and tests."""
    if notes.void is not None:
        return {"void": clean(notes.void)}
    if job["style"] == "stdin" and notes.gone and end.process.status == 0 and not (end.late or end.too_much_cpu):
        notes.tests[0], notes.gone = (True, ""), False  # it left by os._exit(0): what it printed counts
    failure = _failure(job, notes, end, output_bytes)
    if failure is None and not (notes.ended and notes.all_passed()):
        return {"void": "the judge ended without a verdict"}
    outcome, exception, message = failure or ("passed", None, "")
    reason = end_of(job, end).message if end.late or end.too_much_cpu or notes.gone else message
    return {
        "outcome": outcome,
        "exception": exception,
        "message": clean(message),
        "tests": notes.results(reason),
    }


def _failure(job: dict[str, Any], notes: Notes, end: End, output_bytes: int) -> Failure | None:
    if notes.violation is not None:
        return Failure("violation", None, notes.violation)
    if end.judge_died:
        return Failure("violation", None, "the tests did not survive the program's answers")
    if end.printed >= output_bytes:
        return Failure("output_limit", None, f"more than {output_bytes >> 20} MiB were printed")
    if notes.failure is not None:
        return notes.failure
    if end.late or end.too_much_cpu or notes.gone:
        return end_of(job, end)
    return None


def end_of(job: dict[str, Any], end: End) -> Failure:
    """Why the program's process ended, from evidence."""
    number = os.WTERMSIG(end.process.status) if os.WIFSIGNALED(end.process.status) else 0
    if end.late:
        return Failure("timeout", None, f"no end after {job['wall_s']:g} s")
    if end.too_much_cpu or number == signal.SIGXCPU:
        return Failure("timeout", None, f"more than {job['cpu_s']:g} s of processor time")
    if number == signal.SIGKILL and end.process.cpu_s > job["cpu_s"] - 0.1:
        return Failure("timeout", None, f"more than {job['cpu_s']:g} s of processor time")
    if number == signal.SIGKILL and end.process.oom:
        return Failure("memory", None, "the container's memory was used up")
    if number == signal.SIGSYS:
        return Failure("violation", None, "a system call that is not for programs")
    if number:
        name = SIGNALS.get(number, f"signal {number}")
        return Failure("runtime_error", name, "the program's process was ended by a signal")
    status = os.WEXITSTATUS(end.process.status)
    text = f"the program ended itself (status {status}) before its tests were done"
    return Failure("runtime_error", "SystemExit", text)


def clean(text: str) -> str:
    """Text that any encoder takes: no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
