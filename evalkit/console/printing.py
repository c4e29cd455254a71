"""What screens are made of: lines, tables, sections. Nothing of models or programs moves the cursor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evalkit.console.terminal import console_for, wrote_plainly
from evalkit.report.text import one_line, visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def say(text: str, style: str = "") -> None:
    """A result that is text already, as it is: never wrapped, so that it can be copied and compared."""
    if not wrote_plainly(sys.stdout, visible(text)):
        console_for(sys.stdout).print(visible(text), style=style, soft_wrap=True)


def add_row(table: Table, *cells: str | Text, style: str | None = None) -> None:
    table.add_row(*(visible(cell) if isinstance(cell, str) else cell for cell in cells), style=style)


def table_of(*columns: str) -> Table:
    """A table without frame; a column whose name starts with `>` holds numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        numeric = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    return table


def section(title: str, text: str | None, note: str = "") -> None:
    if text is None:
        return
    say("")
    say(f"── {title}{f' ({one_line(note)})' if note else ''}", "bold")
    say(text)
