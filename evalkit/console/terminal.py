"""The one place where a stream becomes a rich console."""

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
