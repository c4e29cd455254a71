"""Reads jobs, has each judged, writes one result a job. Runs under its own user id.

Jobs come as JSON lines on stdin, results leave as JSON lines on stdout, in the same order. The verdict is made here
(`verdict.py`) from what the judge wrote and from what the spawner saw of the program's end.
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
from typing import Any, NamedTuple

from . import judging, report, verdict, whole
from .clock import Clock
from .judge import serve
from .page import Page

PROTOCOL = 2
_GRACE_S = 2.0
_LAST = b'{"end": '


class Lost(Exception):
    """The spawner is gone: so are we."""


def run(control: socket.socket, output_bytes: int) -> None:
    """Until stdin ends, the spawner is gone or the container can no longer be cleaned."""
    gc.enable()
    runner = _Runner(control, output_bytes)
    _emit({"ready": PROTOCOL, "python": ".".join(map(str, sys.version_info[:3]))})
    with os.fdopen(0, "rb", closefd=False) as jobs:
        for line in jobs:
            try:
                result = runner.judge(line)
            except Lost:
                return
            _emit(result)
            if runner.dirty:
                return


def _emit(tree: dict[str, Any]) -> None:
    data = json.dumps(tree).encode("ascii") + b"\n"
    while data:
        data = data[os.write(1, data) :]


class _Ran(NamedTuple):
    """One process's worth of a job: what the judge wrote, how it ended, what was printed."""

    notes: verdict.Notes
    end: verdict.End
    wall_s: float
    out: int
    err: int


class _Runner:
    def __init__(self, control: socket.socket, output_bytes: int) -> None:
        self._control = control
        self._output_bytes = output_bytes
        self._judge: _Judge | None = None
        self.dirty = False

    def judge(self, line: bytes) -> dict[str, Any]:
        """The result of one job, as a JSON object."""
        job = json.loads(line)
        if job["style"] == "stdin":
            return whole.judge(job, lambda part: self._once(part, json.dumps(part).encode("ascii")))
        return self._once(job, line)

    def _once(self, job: dict[str, Any], line: bytes) -> dict[str, Any]:
        ran = self._run(job, line)
        try:
            result: dict[str, Any] = {"id": job["id"], "wall_s": round(ran.wall_s, 4)}
            if job["style"] == "stdin":
                result["printed"] = whole.printed(ran.out)
            result.update(verdict.decide(job, ran.notes, ran.end, self._output_bytes))
            result["stdout"] = _tail(ran.out, job["output_kb"] << 10)
            result["stderr"] = _tail(ran.err, job["output_kb"] << 10)
        finally:
            os.close(ran.out)
            os.close(ran.err)
        result["cpu_s"], result["peak_mb"] = round(ran.end.process.cpu_s, 4), round(ran.end.process.peak_mb, 1)
        return result

    def _run(self, job: dict[str, Any], line: bytes) -> _Ran:
        self._control.send(b"A")
        data, fds, _, _ = socket.recv_fds(self._control, 4096, 3)
        if not data or len(fds) != 3:
            raise Lost
        channel, out, err = fds
        judge = self._judge or _Judge(self._control, (channel, out, err))
        self._judge = None
        watch = _Watch(self, judge, Clock(report.unpack_ready(data).pid, judge.pid, job["wall_s"], job["cpu_s"]))
        judge.send(line, channel)
        os.close(channel)
        process = watch.follow()
        if watch.notes.again:
            self._judge = judge
        status = 0 if watch.notes.again else judge.close()
        end = verdict.End(
            process,
            watch.late,
            watch.out_of_cpu or process.cpu_s > job["cpu_s"],
            bool(status) and not (watch.late or watch.out_of_cpu),
            max(os.fstat(out).st_size, os.fstat(err).st_size),
        )
        return _Ran(watch.notes, end, watch.wall_s, out, err)

    def finish(self) -> report.End:
        """Have the spawner end the program, and say how it ended."""
        self._control.send(b"F")
        data = self._control.recv(4096)
        if not data:
            raise Lost
        process = report.unpack_end(data)
        self.dirty = not process.clean
        return process


class _Judge:
    """A process that runs tests (`judge.serve`). It is used again as long as it says so itself."""

    def __init__(self, control: socket.socket, others: tuple[int, ...]) -> None:
        self.page = Page()
        ours, theirs = socket.socketpair()
        self.notes, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                control.close()
                ours.close()
                for fd in (self.notes, *others):
                    os.close(fd)
                serve(theirs, judging.Record(writer, self.page))
            finally:
                os._exit(0)
        theirs.close()
        os.close(writer)
        self._link = ours

    def send(self, line: bytes, channel: int) -> None:
        """Hand over a job and the program's channel. A judge that is gone is noticed when its notes end.

        The page is emptied here too: a judge that dies before it begins must not leave the notes of the job before.
        """
        self.page.clear()
        try:
            socket.send_fds(self._link, [len(line).to_bytes(4, "big")], [channel])
            self._link.sendall(line)
        except OSError:
            return

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """Let it end; its wait status."""
        self._link.close()
        os.close(self.notes)
        self.page.close()
        return os.waitpid(self.pid, 0)[1]


class _Watch:
    """Follows the judge to the end of its notes, and ends the program when its time is up."""

    def __init__(self, runner: _Runner, judge: _Judge, clock: Clock) -> None:
        self._runner = runner
        self._judge = judge
        self._clock = clock
        self._process: report.End | None = None
        self._killing_at = float("inf")
        self.notes = verdict.Notes()
        self.late = False
        self.out_of_cpu = False
        self.wall_s = 0.0

    def follow(self) -> report.End:
        """How the program's process ended."""
        poller = select.poll()
        poller.register(self._judge.notes, select.POLLIN)
        rest, lines, ended = b"", [], False
        while not ended:
            left = self._look()
            if not poller.poll(left * 1000):
                continue
            piece = os.read(self._judge.notes, 1 << 16)
            if not piece:
                break
            *more, rest = (rest + piece).split(b"\n")
            lines += more
            ended = any(line.startswith(_LAST) for line in more)
        for line in (*self._judge.page.lines(), *lines):
            self.notes.add(line)
        self.wall_s = self._clock.passed_s()
        return self._process or self._runner.finish()

    def _look(self) -> float:
        """End what is over its time; the seconds until the next look."""
        if self._process is None:
            self.out_of_cpu = self._clock.out_of_cpu()
            left = self._clock.left_s()
            if left > 0 and not self.out_of_cpu:
                return left
            self.late = not self.out_of_cpu
            self._process = self._runner.finish()
            self._killing_at = time.monotonic() + _GRACE_S
        left = self._killing_at - time.monotonic()
        if left <= 0:
            self._judge.kill()
            self._killing_at = float("inf")
            return 1.0
        return min(left, 1.0)


def _tail(fd: int, size: int) -> str:
    end = os.fstat(fd).st_size
    data = os.pread(fd, size, max(0, end - size))
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
