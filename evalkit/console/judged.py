"""The screen of what judges said: wins, losses and ties by category, and whether a lead is more than chance."""

from __future__ import annotations

import sys

from evalkit.console.printing import add_row, say, table_of
from evalkit.console.terminal import console_for
from evalkit.core.diagnosis import DiagnosisTable
from evalkit.report.diagnosed import table_cell
from evalkit.report.results import Results

_SHOWN = ("win", "loss", "tie", "inconsistent", "invalid", "void", "score", "95 % interval", "Holm")


def show_verdicts(results: Results) -> None:
    """A table for each `judge` step, in the figures of the report."""
    for name, found in results.diagnoses.items():
        for verdicts in found.tables if found.diagnosis == "judge" else ():
            if verdicts.name == "verdicts" and verdicts.rows:
                _show(f"Step {name}: {verdicts.title}, judged", verdicts)


def _show(title: str, verdicts: DiagnosisTable) -> None:
    shown = [place for place, column in enumerate(verdicts.columns) if column.name in _SHOWN]
    table = table_of("category", *(f">{verdicts.columns[place].name}" for place in shown))
    for row in verdicts.rows:
        add_row(table, str(row[0]), *(table_cell(row[place], verdicts.columns[place].kind) for place in shown))
    say(title, "bold")
    console_for(sys.stdout).print(table)
    say("")
