"""The sentences that must stand wherever the numbers of a run stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from evalkit.core.runfolder import RunRecord
from evalkit.report import numbers
from evalkit.report.results import StepResults


def stamps(run: RunRecord, steps: Mapping[str, StepResults] | None, in_process: Iterable[str]) -> tuple[str, ...]:
    """All of them, the gravest first. `steps` is None for a run that asks nothing; `in_process` are tasks whose
    programs could reach their verdicts."""
    return (*_warnings(run, in_process), *_stamps(run, steps))


def _stamps(run: RunRecord, steps: Mapping[str, StepResults] | None) -> tuple[str, ...]:
    found = list(_void_stamps(run, steps or {}))
    if run.state != "complete" and not found:
        why = f": {run.error}" if run.error else ""
        found.append(f"INCOMPLETE: the run ended as '{run.state}'{why}. Run the same command again to finish it.")
    if steps is not None and not steps:
        found.append("INCOMPLETE: nothing was measured; this run has no samples.")
    if run.limit is not None:
        found.append(
            f"PARTIAL: a partial run, limited to {run.limit} items per task. These are not the scores of its spec."
        )
    if run.only:
        found.append(f"PARTIAL: a partial run, only of {', '.join(run.only)}.")
    return tuple(found)


def _warnings(run: RunRecord, in_process: Iterable[str]) -> Iterator[str]:
    """What must stand above every number."""
    if run.sandbox_warning:
        yield run.sandbox_warning
    tasks = ", ".join(in_process)
    if tasks:
        yield (
            f"REACHABLE VERDICTS: the tests of {tasks} ran in the programs' own process (in_process): a program that "
            "cheats can reach its verdict there."
        )


def _void_stamps(run: RunRecord, steps: Mapping[str, StepResults]) -> Iterator[str]:
    for name, step in steps.items():
        answers = step.all.metrics.answers
        if answers.void > run.void_budget * answers.n:
            yield (
                f"INCOMPLETE: {numbers.of(answers.void, answers.n)} answers of step {name} are void "
                f"({numbers.pct(answers.void / answers.n)}, the budget is {numbers.pct(run.void_budget)}). "
                "Run the same command again: only what is missing is asked for."
            )
