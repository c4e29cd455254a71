"""Do once, before the first fork, what every program will make us do.

Python's interpreter rewrites the code that it runs often, and fills caches; after a fork each such write copies a page.
What is rehearsed in the parent is warm, and written, for all of its children.
"""

from __future__ import annotations

import functools
import json
import linecache
import os
import socket
import sys

from . import candidate, judging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .judging import Job

_ROUNDS = 12
_CODE = "import math\n\n\ndef f(x, *more):\n    return sorted(x, key=lambda y: -y) + [{1: 'a'}, (2.5, None), {3}]\n"
_TESTS = (
    "def check(candidate):\n"
    "    assert candidate([1, 2]) == [2, 1, {1: 'a'}, (2.5, None), {3}]\n"
    "    assert candidate([]) != [0], 'never'\n"
)
_JOBS: tuple[Job, ...] = (
    {"style": "check", "tests": [_TESTS]},
    {"style": "asserts", "tests": ["assert f([3])[0] == 3", "assert f([3, 4], 5) == 0"]},
)
_COMMON: Job = {
    "id": 0,
    "code": _CODE,
    "preamble": "",
    "setup": "",
    "entry_point": "f",
    "in_process": False,
    "wall_s": 60.0,
    "cpu_s": 60.0,
    "memory_mb": 0,
    "output_kb": 1,
}


def rehearse() -> None:
    """Play both parts, each against a child that plays the other. Leaves limits and modules as they were."""
    recursion_limit = sys.getrecursionlimit()
    try:
        for _ in range(_ROUNDS):
            for job in _JOBS:
                _play(_answer, functools.partial(_judge, {**_COMMON, **job}))
                _play(functools.partial(_judge, {**_COMMON, **job}), _answer)
    finally:
        sys.setrecursionlimit(recursion_limit)
        linecache.clearcache()
        for name in ("candidate", "tests"):
            sys.modules.pop(name, None)


def _answer(channel: socket.socket) -> None:
    candidate.answer(channel, lambda cpu_s, memory_mb: None)


def _play(theirs: Callable[[socket.socket], Any], ours: Callable[[socket.socket], Any]) -> None:
    here, there = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            here.close()
            theirs(there)
        finally:
            os._exit(0)
    there.close()
    ours(here)
    here.close()
    os.waitpid(pid, 0)


def _judge(job: Job, channel: socket.socket) -> None:
    reader, writer = os.pipe()
    judging.judge(json.loads(json.dumps(job)), judging.peer_for(channel), judging.Record(writer))
    os.close(writer)
    notes = os.read(reader, 1 << 16)
    os.close(reader)
    if b"void" in notes:
        raise SystemExit(f"the rehearsal failed: {notes!r}")
