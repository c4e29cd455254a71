"""Executes a plan: fill each step, then write the run folder from what the store knows.

The order is what makes a run resumable: answers are stored as they come, the run folder is written from the store at
the end, and its state is the last thing said. A run that is killed leaves a store that has everything that was
counted, and a folder that says `running` or is still the complete run of before.
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
from evalkit.core.ports import Listener
from evalkit.core.runfolder import RunRecord, RunState
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.plan import Plan
from evalkit.run import record
from evalkit.run.budget import meter_of
from evalkit.run.record import RunFolder, UsedSandbox, writing
from evalkit.run.store import SqliteStore
from evalkit.run.toolbox import Listeners, Toolbox
from evalkit.steps.asking import ask
from evalkit.steps.comparing import compare
from evalkit.steps.fill import fill
from evalkit.steps.pairing import verdict_rows
from evalkit.steps.routing import admitted
from evalkit.steps.rows import rows

Publish = Callable[[Path, RunRecord], object]
"""Makes results and report from the rows in a run folder, under the record that the run will have."""


class Order(Struct, frozen=True):
    """One run to be made: where to, from which spec, under which record (state still open)."""

    folder: Path
    record: RunRecord
    spec_text: str


class Outcome(Struct, frozen=True):
    """How a run ended. `problem` is None for a complete run; otherwise the error to show and exit with."""

    folder: Path
    record: RunRecord
    problem: EvalkitError | None


def execute(order: Order, plan: Plan, store: SqliteStore, listener: Listener, publish: Publish) -> Outcome:
    """Run every step of a plan, write the run folder, and have its results published.

    Raises what stopped it (PrerequisiteError, ContractError, RunIncomplete, KeyboardInterrupt) after saying so in
    `run.json`; everything obtained until then is stored, and a folder that held a complete run is left as it was. Too
    many void samples are an Outcome with a problem: the folder is then complete enough to be reported.
    """
    with RunFolder(order.folder) as folder:
        started = monotonic()
        with _state_on_error(folder, order.record, started):
            sandbox = _fill(folder, plan, store, listener)
            return _settle(folder, order, _Filled(plan, store, sandbox, started), publish)


class _Filled(Struct, frozen=True):
    """A plan whose answers are in the store."""

    plan: Plan
    store: SqliteStore
    sandbox: UsedSandbox
    started: float


def _fill(folder: RunFolder, plan: Plan, store: SqliteStore, listener: Listener) -> UsedSandbox:
    """Obtain what is missing; returns the sandbox that was used."""
    meter = meter_of(plan)
    tools = Toolbox(store, Listeners((folder.events(), listener)), plan.spec.sandbox, meter)
    try:
        sandbox = UsedSandbox(tools.sandbox_identity, tools.sandbox_parts) if plan.executes else UsedSandbox()
        if meter is not None:
            meter.count_stored(plan, store, sandbox.identity)
        for bench in plan.benches:
            fill(bench, tools)
        for bench in plan.benches:  # after all of that: the judge's model takes the place of the others, once
            ask(admitted(bench, store, sandbox.identity), tools)
        compare(plan.pairings, tools, sandbox.identity)  # after that: a judge may have picked what is compared
    finally:
        tools.close()
        tools.listener.finish()
    return sandbox


def _settle(folder: RunFolder, order: Order, filled: _Filled, publish: Publish) -> Outcome:
    """Write the folder from the store. From the first line on it says `running`, and its state is the last thing
    written: a kill in between leaves no results rather than those of other rows."""
    voids: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    folder.write_record(order.record)
    folder.forget_results()
    folder.write_spec(order.spec_text)
    folder.write_lock(record.lock_of(filled.plan, order.record.spec_sha256, filled.sandbox))
    folder.write_samples(_counted(filled, totals, voids))
    if filled.plan.pairings:
        folder.write_verdicts(_verdicts(filled, totals, voids))
    problem = _void_problem(filled.plan, totals, voids)
    ended = _ended(order.record, "incomplete" if problem else "complete", filled.started, problem)
    with writing(folder.path):
        publish(folder.path, ended)
    folder.write_record(ended)
    return Outcome(folder.path, ended, problem)


def _counted(filled: _Filled, totals: Counter[str], voids: Counter[str]) -> Iterator[SampleRow]:
    for part in filled.plan.parts:
        for row in rows(part, filled.store, filled.sandbox.identity):
            all_of_them = f"samples of step '{row.step}'"
            for which in (all_of_them, f"selected {all_of_them}") if row.selected else (all_of_them,):
                totals[which] += 1
                voids[which] += row.outcome == "void"
            yield row


def _verdicts(filled: _Filled, totals: Counter[str], voids: Counter[str]) -> Iterator[VerdictRow]:
    for pairing in filled.plan.pairings:
        for row in verdict_rows(pairing, filled.store, filled.sandbox.identity):
            which = f"verdicts of step '{row.step}'"
            totals[which] += 1
            voids[which] += row.verdict == "void" or any(game.void for game in row.games)
            yield row


def _void_problem(plan: Plan, totals: Counter[str], voids: Counter[str]) -> RunIncomplete | None:
    """The first step whose share of void samples is over the budget, of all of them or of those that count: where a
    judge did not answer, one of an item's many candidates is void."""
    for which, total in totals.items():
        if voids[which] > plan.spec.void_budget * total:
            return RunIncomplete(
                f"{voids[which]} of {total} {which} are void "
                f"(the budget is {plan.spec.void_budget:.3g} of all): the run is incomplete",
                hint="mend what the reasons in the report name and run the same command again; "
                "only what is missing is asked for",
            )
    return None


@contextmanager
def _state_on_error(folder: RunFolder, begun: RunRecord, started: float) -> Iterator[None]:
    before = record.known(folder.path)
    complete = before is not None and before.state == "complete"
    if not complete:
        folder.write_record(begun)
    try:
        yield
    except BaseException as error:
        state: RunState = "failed"
        if isinstance(error, KeyboardInterrupt):
            state = "interrupted"
        elif isinstance(error, EvalkitError):
            state = "incomplete"
        now = record.known(folder.path)
        if not complete or now != before:  # what was complete and is untouched stays so
            with suppress(EvalkitError):  # the disk may be what failed; the record then still says `running`
                folder.write_record(_ended(begun, state, started, error))
        raise


def _ended(record_: RunRecord, state: RunState, started: float, problem: BaseException | None) -> RunRecord:
    message = None if problem is None else str(problem) or type(problem).__name__
    return msgspec.structs.replace(
        record_, state=state, finished=record.now(), seconds=round(monotonic() - started, 3), error=message
    )
