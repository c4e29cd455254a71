"""The helper process of `bounded.py`: one JSON request a line on stdin, one answer a line on stdout."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import time
from typing import IO

import msgspec

from evalkit.core.types import Json

_MEMORY_BYTES = 4 << 30


def main() -> None:
    """Serve until stdin ends. Whatever a job prints goes nowhere."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bytes_allowed = _MEMORY_BYTES if most == resource.RLIM_INFINITY else min(_MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (bytes_allowed, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    serve(sys.stdin.buffer, answers)


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each request in turn."""
    for line in requests:
        request = msgspec.json.decode(line)
        _allow(request["cpu_s"])
        answers.write(msgspec.json.encode(_answer(request)) + b"\n")


def _allow(cpu_s: int) -> None:
    """Let this process use so many more seconds of the processor; the kernel counts whole seconds."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + cpu_s, most))


def _answer(request: dict[str, Json]) -> dict[str, Json]:
    module, _, function = request["job"].partition(":")
    try:
        return {"value": getattr(importlib.import_module(module), function)(**request["arguments"])}
    except Exception as error:  # noqa: BLE001  a job's failure is an answer, with its reason
        message = f"{type(error).__name__}: {error}"
        return {"error": type(error).__name__, "message": message.encode(errors="replace").decode()[:500]}


if __name__ == "__main__":
    main()
