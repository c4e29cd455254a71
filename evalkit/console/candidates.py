"""The screen of an item's candidates: what the selector made of each, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

from evalkit.console.printing import add_row, say, table_of
from evalkit.console.terminal import console_for
from evalkit.core.digest import short
from evalkit.core.types import SampleRow
from evalkit.report import numbers


def show_candidates(rows: Sequence[SampleRow]) -> None:
    """A table for each item of which one of several candidates was picked; nothing for others."""
    from evalkit.report.selection import selector_name

    for (step, item), group in groupby(rows, lambda row: (row.step, row.id)):
        some = list(group)
        by = next((row.choice.by for row in some if row.choice is not None), None)
        if by is not None:
            _show(f"{step}/{item}: {numbers.plural(len(some), 'candidate')}, picked by {selector_name(by)}", some)


def _show(title: str, rows: Sequence[SampleRow]) -> None:
    names = list(dict.fromkeys(name for row in rows if row.choice is not None for name in row.choice.criteria))
    columns = (
        ">answer",
        "completion",
        "text",
        "picked",
        ">value",
        "verdict",
        ">tests",
        *(f">{name}" for name in names),
    )
    table = table_of(*columns)
    for row in rows:
        add_row(table, *_cells(row), *(_points(row, name) for name in names))
    say(title, "bold")
    console_for(sys.stdout).print(table)
    say("")


def _cells(row: SampleRow) -> tuple[str, ...]:
    value = row.choice.value if row.choice is not None else None
    tests = numbers.of(row.tests_passed or 0, row.tests_total) if row.tests_total else numbers.DASH
    return (
        str(row.sample),
        short(row.completion),
        short(row.text_sha256) if row.text_sha256 else numbers.DASH,
        "yes" if row.selected else "",
        numbers.number(value),
        row.outcome if row.error_class is None else f"{row.outcome}, {row.error_class}",
        tests,
    )


def _points(row: SampleRow, name: str) -> str:
    given = row.choice.criteria.get(name) if row.choice is not None else None
    if given is None:
        return numbers.DASH
    points = numbers.amount(given.points)
    return points if given.of is None else f"{points} of {numbers.amount(given.of)}"
