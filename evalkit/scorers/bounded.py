"""Work that may not end, done in a process that can be killed: regular expressions, symbolic algebra.

A regular expression can take exponential time and holds the interpreter's lock meanwhile; sympy can hang inside one
operation on integers. Neither can be stopped from within, so one helper process does such jobs, one after the other,
each with a budget of processor time that the kernel enforces. The processor's time, not the clock, decides: a busy
machine does not change a verdict.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import weakref
from functools import cache
from time import monotonic
from typing import IO, Literal

import msgspec

from evalkit.core.types import Json

Cause = Literal["time", "memory", "stalled", "died"]

_WALL_FACTOR = 6
_WALL_FLOOR_S = 30.0
_READ_BYTES = 1 << 16


class Exceeded(Exception):
    """A job that did not end as it should: over its budget of time or memory, not scheduled in time, or broken."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause
        self.reason = reason


class BoundedProcess:
    """One helper process, started by the first job and again after each that had to be killed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, job: str, arguments: dict[str, Json], cpu_s: int) -> Json:
        """The JSON value that the function `job` (`module:function`, trusted) makes of its keyword arguments.

        Raises Exceeded: with `time` after `cpu_s` seconds of processor time; with `stalled` when the machine did not
        give it that much time; with `memory`; with `died` for anything else, exceptions of the job included.
        """
        request = msgspec.json.encode({"job": job, "arguments": arguments, "cpu_s": cpu_s}) + b"\n"
        with self._lock:
            try:
                answer = self._ask(request, deadline=monotonic() + max(_WALL_FLOOR_S, _WALL_FACTOR * cpu_s))
            except BaseException:
                self._kill()  # also when interrupted: a late answer would be taken for the next job's
                raise
        if "value" in answer:
            return answer["value"]
        raise Exceeded("memory" if answer["error"] == "MemoryError" else "died", answer["message"])

    def close(self) -> None:
        """End the process. The next job starts another."""
        with self._lock:
            self._kill()

    def _ask(self, request: bytes, deadline: float) -> dict[str, Json]:
        process = self._running()
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        try:
            process.stdin.write(request)
            process.stdin.flush()
        except OSError:
            raise self._ended(process) from None
        line = _line(process.stdout, deadline)
        if line is None:
            raise Exceeded("stalled", "the machine was too busy to finish in time")
        if not line.endswith(b"\n"):
            raise self._ended(process)
        answer: dict[str, Json] = msgspec.json.decode(line)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "evalkit.scorers.bounded_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the parent's business
            )
            weakref.finalize(self, self._process.kill)
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> Exceeded:
        code = process.wait()
        if code == -signal.SIGXCPU:
            return Exceeded("time", "it did not end within its processor time")
        return Exceeded("died", f"the helper process ended with {_ending(code)}")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@cache
def shared() -> BoundedProcess:
    """The helper process of all scorers of this process."""
    return BoundedProcess()


def _line(stream: IO[bytes], deadline: float) -> bytes | None:
    """What comes until a line break or the end of the stream; None after the deadline."""
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - monotonic()))
        if not ready:
            return None
        part = os.read(stream.fileno(), _READ_BYTES)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"
