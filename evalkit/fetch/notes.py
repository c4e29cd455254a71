"""What was computed of a file once, remembered between runs until the file changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from evalkit.core.digest import digest
from evalkit.fetch import cache

_SETTLED_NS = 2_000_000_000
"""A file that changed less than this long ago may change again within one tick of its file system's clock."""

_Value = TypeVar("_Value", str, int)


def noted(kind: str, path: Path, compute: Callable[[Path], _Value]) -> _Value:
    """`compute(path)`, done anew only when the file's size or modification time (ns) changed."""
    status = path.stat()
    name = digest([str(path.resolve()), status.st_size, status.st_mtime_ns])
    note = cache.root() / kind / name
    try:
        found: _Value = msgspec.json.decode(note.read_bytes())
        return found
    except (OSError, msgspec.DecodeError):
        value = compute(path)
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            with suppress(OSError):  # the note saves time the next time; a cache that cannot be used costs only that
                cache.write_file(note, msgspec.json.encode(value))
        return value
