"""One worker in namespaces of its own: started through `sandbox/launch.py`, spoken to over pipes, killed as a group."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from evalkit.core.types import Json
from evalkit.sandboxes.host import HostLost, Lines, NoHost, await_ready

_END_TIMEOUT_S = 10.0
_STDERR_KEPT = 2000
_FIRST_UIDS = range(1 << 20, 1 << 30, 1 << 16)
_LAUNCH = "import sys; sys.path.append(sys.argv[2]); from {package} import launch; launch.main(sys.argv)"


class LocalHost:
    """A running worker: implements `WorkerHost`."""

    run_as: ClassVar[dict[str, Any]] = {}
    """Options of `subprocess.Popen` that say as whom the launcher runs; empty for this user."""

    def __init__(self, wish: dict[str, Json]) -> None:
        """Start it. Raises NoHost when no process can be made, HostLost when the worker does not come up."""
        self._lines = Lines()
        self._out = bytearray()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the worker lives
        worker = Path(wish["worker"])
        told = json.dumps({**wish, "first_uid": secrets.choice(_FIRST_UIDS)})
        command = [wish["python"], "-I", "-S", "-c", _LAUNCH.format(package=worker.name), told, str(worker.parent)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                start_new_session=True,
                cwd="/",
                env={"LANG": "C.UTF-8"},
                **self.run_as,
            )
        except OSError as error:
            self._stderr.close()
            raise NoHost(f"no process for a local worker can be made: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        try:
            self.python = await_ready(self)
        except HostLost:
            self.close()
            raise

    def send(self, line: bytes) -> None:
        self._out += line

    def receive(self, timeout_s: float) -> list[bytes]:
        poller = select.poll()
        poller.register(self._from, select.POLLIN)
        if self._out:
            poller.register(self._to, select.POLLOUT)
        try:
            ready = {fd for fd, _ in poller.poll(max(0.0, timeout_s) * 1000)}
            if self._to in ready:
                del self._out[: os.write(self._to, self._out[: 1 << 16])]
            if self._from in ready:
                self._take(os.read(self._from, 1 << 16))
        except BlockingIOError:
            pass
        except OSError as error:
            raise HostLost(f"the connection to the local worker broke: {error}{self._last_words()}") from error
        return self._lines.take()

    def _take(self, data: bytes) -> None:
        if not data:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_TIMEOUT_S)
            raise HostLost(f"the local worker ended{self._last_words()}")
        self._lines.add(data)

    def _last_words(self) -> str:
        end = os.fstat(self._stderr.fileno()).st_size
        told = os.pread(self._stderr.fileno(), _STDERR_KEPT, max(0, end - _STDERR_KEPT)).decode("utf-8", "replace")
        lines = told.strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def close(self) -> None:
        """Kill the launcher and the first process of the namespace, and with that all that is in it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
