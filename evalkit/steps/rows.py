"""From the store to rows: what is known of each completion of a bench. Pure: nothing is asked, nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.core.ports import Store
from evalkit.core.types import Completion, Execution, Program, SampleRow, Score, Void
from evalkit.steps.bench import Arm, Bench, Cell, cells, chunks, program_of

_CHUNK = 256


def rows(bench: Bench, store: Store, identity: str) -> Iterator[SampleRow]:
    """What the store knows of a bench, one row a completion, in plan order. What is missing is void."""
    for arm in bench.arms:
        for some in chunks(cells(bench, arm), _CHUNK):
            yield from _rows_of(bench, arm, some, store, identity)


def _rows_of(bench: Bench, arm: Arm, some: Sequence[Cell], store: Store, identity: str) -> Iterator[SampleRow]:
    keys = [cell.request.key for cell in some]
    completions = store.completions(keys)
    programs = {
        key: program_of(arm, cell.sample, completions[key], identity)
        for key, cell in zip(keys, some, strict=True)
        if key in completions
    }
    wanted = [program.key for program in programs.values() if program is not None]
    executions = store.executions(wanted)
    voids = store.voids([*keys, *wanted])
    for cell in some:
        completion, program = completions.get(cell.request.key), programs.get(cell.request.key)
        execution = executions.get(program.key) if program is not None else None
        score = _score(arm, cell, completion, program, execution, voids)
        yield _row(bench, arm, cell, completion, execution, score)


def _score(
    arm: Arm,
    cell: Cell,
    completion: Completion | None,
    program: Program | None,
    execution: Execution | None,
    voids: dict[str, Void],
) -> Score:
    if completion is None:
        return _void(voids.get(cell.request.key), "not generated yet")
    if program is not None and execution is None:
        return _void(voids.get(program.key), "not executed yet")
    return arm.scorer.score(cell.sample, completion, execution)


def _void(void: Void | None, otherwise: str) -> Score:
    return Score("void", None, reason=f"{void.by}: {void.reason}" if void else otherwise)


def _row(
    bench: Bench, arm: Arm, cell: Cell, completion: Completion | None, execution: Execution | None, score: Score
) -> SampleRow:
    seconds = completion.seconds if completion else None
    usd = None if seconds is None or bench.usd_per_hour is None else seconds / 3600 * bench.usd_per_hour
    return SampleRow(
        step=bench.step.name,
        task=arm.task,
        category=arm.category,
        split=arm.split,
        id=cell.sample.id,
        sample=cell.request.index,
        selected=True,
        model=bench.model.name,
        policy=arm.policy.name,
        groups=cell.sample.groups,
        prompt=cell.sample.prompt,
        prompt_sha256=completion.prompt_sha256 if completion else None,
        completion=cell.request.key,
        text=completion.text if completion else None,
        answer=score.answer,
        outcome=score.outcome,
        score=score.value,
        error_class=score.error_class,
        rule=score.rule,
        tests_passed=score.tests_passed,
        tests_total=score.tests_total,
        tests=execution.tests if execution else (),
        exception=execution.exception if execution else None,
        stdout=execution.stdout if execution else None,
        stderr=execution.stderr if execution else None,
        reason=score.reason,
        finish_reason=completion.finish_reason if completion else None,
        prompt_tokens=completion.prompt_tokens if completion else None,
        completion_tokens=completion.completion_tokens if completion else None,
        seconds=seconds,
        sandbox_s=execution.wall_s if execution else None,
        usd=usd,
        effective=completion.effective if completion else None,
    )
