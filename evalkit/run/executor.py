"""Executes a plan: fill each step, then write the run folder from what the store knows.

The order is what makes a run resumable: answers are stored as they come, the run folder is written from the store at
the end, and its state is the last thing said. A run that is killed leaves state `running` and a store that has
everything that was counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from evalkit.core.errors import EvalkitError, RunIncomplete
from evalkit.core.ports import Listener, Tools
from evalkit.core.runfolder import RunRecord, RunState
from evalkit.core.types import SampleRow
from evalkit.plan import Plan
from evalkit.run import record
from evalkit.run.record import RunFolder
from evalkit.run.store import SqliteStore
from evalkit.run.toolbox import Listeners, Toolbox
from evalkit.steps.fill import fill
from evalkit.steps.rows import rows

MakePlan = Callable[[Tools], Plan]


class Order(Struct, frozen=True):
    """One run to be made: where to, from which spec, under which record (state still open)."""

    folder: Path
    record: RunRecord
    spec_text: str
    spec_sha256: str


class Outcome(Struct, frozen=True):
    """How a run ended. `problem` is None for a complete run; otherwise the error to show and exit with."""

    folder: Path
    record: RunRecord
    problem: EvalkitError | None


def execute(order: Order, plan: Plan, store: SqliteStore, listener: Listener) -> Outcome:
    """Run every step of a plan and write the run folder.

    Raises what stopped it (PrerequisiteError, ContractError, RunIncomplete, KeyboardInterrupt) after saying so in
    `run.json`; everything obtained until then is stored. Too many void samples are an Outcome with a problem: the
    folder is then complete enough to be reported.
    """
    with RunFolder(order.folder) as folder:
        events = folder.events()
        tools = Toolbox(store, Listeners((events, listener)), plan.spec.sandbox)
        started = monotonic()
        folder.write_record(order.record)
        folder.write_spec(order.spec_text)
        with _state_on_error(folder, order.record, started):
            try:
                identity = tools.sandbox_identity if plan.executes else ""
                folder.write_lock(record.lock_of(plan, order.spec_sha256, identity))
                for step in plan.steps:
                    fill(step.work, tools)
            finally:
                tools.close()
                tools.listener.finish()
            voids: Counter[str] = Counter()
            totals: Counter[str] = Counter()
            folder.write_samples(_counted(plan, store, identity, totals, voids))
        problem = _void_problem(plan, totals, voids)
        ended = _ended(order.record, "incomplete" if problem else "complete", started, problem)
        folder.write_record(ended)
    return Outcome(order.folder, ended, problem)


def _counted(
    plan: Plan, store: SqliteStore, identity: str, totals: Counter[str], voids: Counter[str]
) -> Iterator[SampleRow]:
    for step in plan.steps:
        for row in rows(step.work, store, identity):
            totals[step.name] += 1
            voids[step.name] += row.outcome == "void"
            yield row


def _void_problem(plan: Plan, totals: Counter[str], voids: Counter[str]) -> RunIncomplete | None:
    """The first step whose share of void samples is over the budget."""
    for name, total in totals.items():
        if voids[name] > plan.spec.void_budget * total:
            return RunIncomplete(
                f"{voids[name]} of {total} samples of step '{name}' are void "
                f"(the budget is {plan.spec.void_budget:.0%}): the run is incomplete",
                hint="mend what the reasons in the report name and run the same command again; "
                "only what is missing is asked for",
            )
    return None


@contextmanager
def _state_on_error(folder: RunFolder, started_record: RunRecord, started: float) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        state: RunState = "failed"
        if isinstance(error, KeyboardInterrupt):
            state = "interrupted"
        elif isinstance(error, EvalkitError):
            state = "incomplete"
        with suppress(OSError):  # the disk may be what failed; the record then still says `running`
            folder.write_record(_ended(started_record, state, started, error))
        raise


def _ended(record_: RunRecord, state: RunState, started: float, problem: BaseException | None) -> RunRecord:
    message = None if problem is None else str(problem) or type(problem).__name__
    return msgspec.structs.replace(
        record_, state=state, finished=record.now(), seconds=round(monotonic() - started, 3), error=message
    )
