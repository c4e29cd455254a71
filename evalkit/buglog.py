"""The log of a bug: what a maintainer needs to see, in one file to paste."""

from __future__ import annotations

import platform
import sys
import traceback
from pathlib import Path

from evalkit import __version__


def write_bug_log(error: BaseException, folder: Path = Path(".evalkit")) -> Path | None:
    """Write versions, command and traceback; None where nothing can be written. Overwrites the one before."""
    lines = [
        f"evalkit {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {' '.join(sys.argv)}",
        "",
        *traceback.format_exception(error),
    ]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "bug.log"
        path.write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return path
