"""Digests of large files, remembered between runs."""

from __future__ import annotations

from pathlib import Path

from evalkit.core.digest import digest_file
from evalkit.fetch.notes import noted

_KIND = "digests"


def cached_digest(path: Path) -> str:
    """sha256 of a file, computed anew only when its size or modification time (ns) changed."""
    return noted(_KIND, path, lambda file: digest_file(file))
