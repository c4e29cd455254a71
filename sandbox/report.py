"""What spawner and runner tell each other, in a few fixed bytes: text forms would cost the spawner more than the work.

The spawner's memory is shared with the process that waits for the next program, so whatever it touches is copied.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_READY = struct.Struct("=qq")
_END = struct.Struct("=iddi??")


class Ready(NamedTuple):
    """A process that waits for a program."""

    pid: int
    uid: int


class End(NamedTuple):
    """How a program's process ended.

    `status` as `wait` gives it; `cpu_s` with the children it waited for; `peak_mb` resident; `left` processes of its
    user that had to be killed; `oom`: the container's memory ran out meanwhile; `clean`: nothing of it is left.
    """

    status: int
    cpu_s: float
    peak_mb: float
    left: int
    oom: bool
    clean: bool


def pack_ready(ready: Ready) -> bytes:
    return _READY.pack(*ready)


def unpack_ready(data: bytes) -> Ready:
    return Ready(*_READY.unpack(data))


def pack_end(end: End) -> bytes:
    return _END.pack(*end)


def unpack_end(data: bytes) -> End:
    return End(*_END.unpack(data))
