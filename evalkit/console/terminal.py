"""The one place where a stream becomes a rich console, or is written to as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 120


def console_for(stream: TextIO) -> Console:
    """A rich console that never reads markup in the texts it is given."""
    from rich.console import Console

    plain = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False, width=_PLAIN_WIDTH if plain else None
    )


def wrote_plainly(stream: TextIO, text: str) -> bool:
    """Write lines as they are where no terminal would colour them; False where one would.

    rich takes longer to import than a spec to be checked, and for a file or a pipe it changes nothing.
    """
    if stream.isatty() or "FORCE_COLOR" in os.environ:
        return False
    stream.write(f"{text}\n")
    return True
