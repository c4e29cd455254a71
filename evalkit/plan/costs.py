"""What a step costs, and what of it the store has already."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core import registry
from evalkit.core.digest import digest
from evalkit.core.types import Model, Prompt
from evalkit.plan.locks import model_lock, task_locks, why
from evalkit.plan.needs import needs
from evalkit.plan.planned import PlannedStep, PlannedTask, Sources
from evalkit.spec.model import DiagnoseStep, Spec
from evalkit.steps.bench import Bench, Cell, cells, chunks, reference_of, trial_of
from evalkit.steps.turns import reached, wanted

_CHUNK = 512
_ROUGH_CHARACTERS_A_TOKEN = 4


def planned_bench(spec: Spec, bench: Bench, sources: Sources) -> PlannedStep:
    tasks: list[PlannedTask] = []
    missing: list[Cell] = []
    for arm in bench.arms:
        asked = list(wanted(bench, arm, sources.store))
        cached = sum(stored for _, stored in asked)
        tasks.append(PlannedTask(arm.category, arm.task, arm.split, len(arm.samples), len(asked), cached))
        once = {cell.request.key: cell for cell, stored in asked if not stored}  # equal prompts are asked once
        missing += once.values()
    references, timed = _references(bench, sources)
    requests = [cell.request for cell in missing]
    tokens, exact = _prompt_tokens(bench.model, [request.prompt for request in requests])
    return PlannedStep(
        name=bench.step.name,
        verb="bench",
        needs=needs(bench.step),
        key=digest([model_lock(bench), task_locks(spec, bench)]),
        requests=sum(task.requests for task in tasks),
        cached=sum(task.cached for task in tasks),
        programs_cached=_programs_stored(bench, sources),
        prompt_tokens=tokens,
        max_completion_tokens=sum(request.sampling.max_tokens for request in requests if not request.continuations),
        continuations=sum(len(request.continuations) for request in requests),
        tokens_exact=exact and all(len(cell.earlier) == cell.request.turn for cell in missing),
        why=why(spec, bench, tasks, sources.previous),
        tasks=tuple(tasks),
        benches=(bench,),
        references=references,
        references_cached=timed,
    )


def planned_diagnosis(step: DiagnoseStep) -> PlannedStep:
    """It reads what other steps have, and asks nothing."""
    return PlannedStep(
        name=step.name,
        verb="diagnose",
        needs=needs(step),
        key=digest(step),
        requests=0,
        cached=0,
        programs_cached=None,
        prompt_tokens=0,
        max_completion_tokens=0,
        tokens_exact=True,
        why=f"{step.diagnosis}: reads the answers of {', '.join(needs(step))}",
        tasks=(),
        benches=(),
    )


def _programs_stored(bench: Bench, sources: Sources) -> int | None:
    if sources.identity is None or not bench.executes:
        return None
    found = 0
    for arm in bench.arms:
        if arm.scorer.executes:
            for some in chunks(cells(bench, arm), _CHUNK):
                last, completions = reached(bench, some, sources.store)
                trials = (
                    trial_of(arm, cell.sample, completions[cell.request.key], sources.identity)
                    for cell in last
                    if cell.request.key in completions
                )
                keys = [one.program.key for one in trials if one is not None]
                found += len(sources.store.known("executions", keys))
    return found


def _references(bench: Bench, sources: Sources) -> tuple[int, int | None]:
    """How many reference programs a bench has to time, and how many of these are timed already."""
    found = (reference_of(arm, sample, sources.identity or "") for arm in bench.arms for sample in arm.samples)
    keys = {reference.program.key for reference in found if reference is not None}
    if sources.identity is None:
        return len(keys), None
    return len(keys), len(sources.store.known("executions", keys)) if keys else 0


def _prompt_tokens(model: Model, prompts: Sequence[Prompt]) -> tuple[int, bool]:
    """Tokens of all prompts, and whether they were counted by the model's own tokenizer or only estimated."""
    if not prompts:
        return 0, True
    counted = registry.load("engines", model.engine).count_tokens(model, prompts)
    if counted is not None:
        return sum(counted), True
    characters = sum(len(prompt.text or "") + sum(len(turn.content) for turn in prompt.messages) for prompt in prompts)
    return -(-characters // _ROUGH_CHARACTERS_A_TOKEN), False
