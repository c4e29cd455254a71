"""Reads jobs, has each judged by a process of its own, writes one result a job. Runs under its own user id.

Jobs come as JSON lines on stdin, results leave as JSON lines on stdout, in the same order. The verdict is made here
from what the judge wrote and from what the spawner saw of the program's end.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time

from . import judging

PROTOCOL = 1
_GRACE_S = 2.0
_SIGNALS = {number.value: number.name for number in signal.Signals}


class _Lost(Exception):
    """The spawner is gone: so are we."""


def run(control, output_bytes):
    """Until stdin ends or the spawner is gone."""
    gc.enable()
    runner = _Runner(control, output_bytes)
    _emit({"ready": PROTOCOL, "python": ".".join(map(str, sys.version_info[:3]))})
    jobs = os.fdopen(0, "rb", closefd=False)
    for line in jobs:
        try:
            result = runner.judge(json.loads(line))
        except _Lost:
            return
        _emit(result)
        if runner.dirty:
            return


def _emit(tree):
    data = json.dumps(tree).encode("ascii") + b"\n"
    while data:
        data = data[os.write(1, data) :]


class _Runner:
    def __init__(self, control, output_bytes):
        self._control = control
        self._output_bytes = output_bytes
        self.dirty = False

    def judge(self, job):
        """The result of one job, as a JSON object."""
        self._control.send(b"A")
        data, fds, _, _ = socket.recv_fds(self._control, 4096, 3)
        if not data or len(fds) != 3:
            raise _Lost
        channel, out, err = fds
        began = time.monotonic()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._become_judge(job, channel, writer, (reader, out, err))
        os.close(channel)
        os.close(writer)
        watch = _Watch(self, reader, pid, began, job["wall_s"])
        notes, report = watch.follow()
        result = {"id": job["id"], "wall_s": round(watch.ended - began, 4)}
        result.update(self._verdict(job, notes, report, watch, (os.fstat(out).st_size, os.fstat(err).st_size)))
        for name, fd in (("stdout", out), ("stderr", err)):
            result[name] = _tail(fd, job["output_kb"] << 10)
            os.close(fd)
        result["cpu_s"], result["peak_mb"] = report["cpu_s"], report["peak_mb"]
        return result

    def _become_judge(self, job, channel, writer, others):
        try:
            self._control.close()
            for fd in others:
                os.close(fd)
            judging.judge(job, channel, writer)
        finally:
            os._exit(0)

    def finish(self):
        """Have the spawner end the program; its report."""
        self._control.send(b"F")
        data = self._control.recv(4096)
        if not data:
            raise _Lost
        report = json.loads(data)
        self.dirty = not report["clean"]
        return report

    def _verdict(self, job, notes, report, watch, sizes):
        if notes.void is not None:
            return {"void": _clean(notes.void)}
        outcome, exception, message = notes.failure or (None, None, "")
        if notes.violation is not None:
            outcome, exception, message = "violation", None, notes.violation
        elif watch.judge_status:
            outcome, exception, message = "violation", None, "the tests did not survive the program's answers"
        elif max(sizes) >= self._output_bytes:
            outcome, exception, message = (
                "output_limit",
                None,
                f"more than {self._output_bytes >> 20} MiB were printed",
            )
        elif outcome is None and not (watch.late or notes.gone) and not (notes.ended and notes.all_passed()):
            return {"void": "the judge ended without a verdict"}
        reason = message
        if watch.late or notes.gone:
            ended = _end_of(report, watch.late, job)
            reason = ended[2]
            outcome, exception, message = (outcome, exception, message) if outcome else ended
        tests = notes.results(reason)
        return {"outcome": outcome or "passed", "exception": exception, "message": _clean(message), "tests": tests}


class _Notes:
    """What the judge wrote."""

    def __init__(self):
        self.plan = []
        self.tests = {}
        self.failure = None
        self.violation = None
        self.void = None
        self.gone = False
        self.ended = False

    def add(self, line):
        tree = json.loads(line)
        if "plan" in tree:
            self.plan = tree["plan"]
        elif "test" in tree:
            index, passed, message = tree["test"]
            self.tests[index] = (passed, message)
        elif "failure" in tree:
            self.failure = tree["failure"]
        elif "violation" in tree:
            self.violation = tree["violation"]
        elif "void" in tree:
            self.void = tree["void"]
        elif "gone" in tree:
            self.gone = True
        elif "end" in tree:
            self.ended = True

    def all_passed(self):
        return len(self.tests) == len(self.plan) and all(passed for passed, _ in self.tests.values())

    def results(self, message):
        """One entry a test; the first without a result is the one that ended it all, the others were not run."""
        entries, reason = [], message
        for index, label in enumerate(self.plan):
            if index not in self.tests:
                entries.append([False, _clean(label), _clean(reason)[:500]])
                reason = f"not run: {message}"
                continue
            passed, text = self.tests[index]
            entries.append([passed, _clean(label), _clean(text)[:500]])
        return entries


class _Watch:
    """Follows the judge to its end, and ends the program at the deadline."""

    def __init__(self, runner, reader, pid, began, wall_s):
        self._runner = runner
        self._reader = reader
        self._pid = pid
        self._deadline = began + wall_s
        self.late = False
        self.judge_status = 0
        self.ended = began

    def follow(self):
        """Returns (notes, the spawner's report)."""
        notes, report, rest = _Notes(), None, b""
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                if report is not None:
                    os.kill(self._pid, signal.SIGKILL)
                    break
                self.late, report = True, self._runner.finish()
                self._deadline = time.monotonic() + _GRACE_S
                continue
            if not poller.poll(left * 1000):
                continue
            piece = os.read(self._reader, 1 << 16)
            if not piece:
                break
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                notes.add(line)
        self.ended = time.monotonic()
        os.close(self._reader)
        _, status = os.waitpid(self._pid, 0)
        self.judge_status = status if not self.late else 0
        return notes, report or self._runner.finish()


def _end_of(report, late, job):
    """Why the program's process ended, from evidence: (class, exception, message)."""
    number = os.WTERMSIG(report["status"]) if os.WIFSIGNALED(report["status"]) else 0
    if late:
        return "timeout", None, f"no end after {job['wall_s']:g} s"
    if number == signal.SIGXCPU or (number == signal.SIGKILL and report["cpu_s"] > job["cpu_s"] - 0.1):
        return "timeout", None, f"more than {job['cpu_s']:g} s of processor time"
    if number == signal.SIGKILL and report["oom"]:
        return "memory", None, "the container's memory was used up"
    if number == signal.SIGSYS:
        return "violation", None, "a system call that is not for programs"
    if number:
        return (
            "runtime_error",
            _SIGNALS.get(number, f"signal {number}"),
            "the program's process was ended by a signal",
        )
    status = os.WEXITSTATUS(report["status"])
    return "runtime_error", "SystemExit", f"the program ended itself (status {status}) before its tests were done"


def _tail(fd, size):
    end = os.fstat(fd).st_size
    data = os.pread(fd, size, max(0, end - size))
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _clean(text):
    """Text that any encoder takes: no lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
