"""Every screen. The only package that prints: results to stdout, progress and errors to stderr.

Colours and animation are for terminals only and NO_COLOR is honoured. Numbers come from `report/numbers.py`, so the
screen and the report show the same figures. Text of models and programs is made harmless before it reaches a terminal.
rich is imported when the first screen is shown, not when this package is. What moves while a run goes on is in `live`.
"""

from evalkit.console.candidates import show_candidates
from evalkit.console.pairs import show_pairs
from evalkit.console.plans import show_plan
from evalkit.console.printing import say
from evalkit.console.screens import (
    progress_note,
    show_bug,
    show_diagnostics,
    show_doctor,
    show_error,
    show_json,
    show_removed,
    show_results,
    show_runs,
    show_sample,
    show_sandbox_test,
    show_written,
)
from evalkit.console.task_screens import show_fetched, show_prompt, show_tasks

__all__ = [
    "progress_note",
    "say",
    "show_bug",
    "show_candidates",
    "show_diagnostics",
    "show_doctor",
    "show_error",
    "show_fetched",
    "show_json",
    "show_pairs",
    "show_plan",
    "show_prompt",
    "show_removed",
    "show_results",
    "show_runs",
    "show_sample",
    "show_sandbox_test",
    "show_tasks",
    "show_written",
]
