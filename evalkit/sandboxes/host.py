"""What the pool asks of a place where a worker runs, whatever it is made of: lines out, lines in, an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from evalkit.sandboxes.messages import BadReply, read_ready

_MAX_LINE = 64 << 20
_START_TIMEOUT_S = 60.0


class HostLost(Exception):
    """The host died, fell silent or broke the protocol. A fresh one may do better."""


class NoHost(Exception):
    """No host can be started now, and the next try would say the same. The text is the reason for a void."""


class WorkerHost(Protocol):
    """A running worker that has reported for duty. It belongs to one thread of the pool."""

    def send(self, line: bytes) -> None:
        """Queue a line, line break included; `receive` writes it."""
        ...

    def receive(self, timeout_s: float) -> list[bytes]:
        """Write what is queued, and return the lines that arrived within the time. Raises HostLost."""
        ...

    def close(self) -> None:
        """End it and everything in it. Never raises."""
        ...


StartHost = Callable[[], WorkerHost]
"""Starts a host and waits until its worker reports. Raises HostLost, which is worth another try, or NoHost."""


def await_ready(host: WorkerHost) -> str:
    """The Python version of the worker, once it reports for duty. Raises HostLost."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        for line in host.receive(deadline - time.monotonic()):
            try:
                return read_ready(line)
            except BadReply as error:
                raise HostLost(str(error)) from error
    raise HostLost("the worker did not report for duty")


class Lines:
    """Cuts what arrives into lines."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._whole: list[bytes] = []

    def add(self, data: bytes) -> None:
        """Raises HostLost when a line has no end."""
        self._partial += data
        if len(self._partial) > _MAX_LINE:
            raise HostLost("the worker sent a line without an end")
        if b"\n" in data:
            *lines, self._partial = self._partial.split(b"\n")
            self._whole += [bytes(line) for line in lines]

    def take(self) -> list[bytes]:
        """The lines that are whole by now, each once."""
        lines, self._whole = self._whole, []
        return lines
