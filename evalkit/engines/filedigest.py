"""Digests of large files, remembered between runs."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import msgspec

from evalkit.core.digest import digest, digest_file
from evalkit.fetch import cache

_KIND = "digests"
_SETTLED_NS = 2_000_000_000
"""A file that changed less than this long ago may change again within one tick of its file system's clock."""


def cached_digest(path: Path) -> str:
    """sha256 of a file, computed anew only when its size or modification time (ns) changed."""
    status = path.stat()
    name = digest([str(path.resolve()), status.st_size, status.st_mtime_ns])
    note = cache.root() / _KIND / name
    try:
        return msgspec.json.decode(note.read_bytes(), type=str)
    except (OSError, msgspec.DecodeError):
        found = digest_file(path)
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            with suppress(OSError):  # the note saves time the next time; a cache that cannot be used costs only that
                cache.write_file(note, msgspec.json.encode(found))
        return found
