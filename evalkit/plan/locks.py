"""What a step consists of: for the lock, the step's key, and the reason why its answers are not stored yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.core.digest import digest, digest_text
from evalkit.core.runfolder import Lock, ModelLock, TaskLock
from evalkit.core.types import Sample, SamplingParams
from evalkit.plan.judging import judge_lock
from evalkit.plan.planned import PlannedTask
from evalkit.spec.model import Spec, Task
from evalkit.steps.bench import Arm, Bench
from evalkit.tasks.samples import shape

_TOLD = tuple(name for name in SamplingParams.__struct_fields__ if name != "json_schema")
"""Sampling parameters whose values fit into a sentence."""


def model_lock(bench: Bench) -> ModelLock:
    """What decides the model's answers."""
    return ModelLock(engine=bench.fingerprint.engine, parts=bench.fingerprint.parts | bench.fingerprint.format_parts)


def task_locks(spec: Spec, bench: Bench) -> tuple[TaskLock, ...]:
    """What each task of a bench consists of: its items, its prompts, how they are asked."""
    return tuple(_task_lock(spec.tasks[arm.task], bench, arm) for arm in bench.arms)


def _task_lock(task: Task, bench: Bench, arm: Arm) -> TaskLock:
    drawn, weighs = shape(arm.samples), arm.weighs
    prompts = [_asked(arm, sample, prompt) for sample, prompt in zip(arm.samples, drawn.prompts, strict=True)]
    return TaskLock(
        step=bench.step.name,
        category=arm.category,
        task=arm.task,
        split=arm.split,
        origin=arm.origin,
        sha256=arm.sha256,
        items=drawn.ids,
        prompts=digest_text("".join(prompts)),
        model=bench.model.name,
        policy=arm.policy.name,
        samples=1 if weighs else arm.policy.answers,
        select=arm.policy.select,
        sampling=None if weighs else arm.asked(-1),
        source=task.source,
        license=task.license,
        shots=drawn.shots,
        shots_each=len(arm.samples[0].shots) if arm.samples else 0,
        shots_origin=arm.shots_origin,
        shots_sha256=arm.shots_sha256,
        judge=judge_lock(arm),
        route=bench.route,
        formats=tuple(schema and digest_text(schema) for schema in arm.schemas),
    )


def _asked(arm: Arm, sample: Sample, prompt: str) -> str:
    """The digest of a prompt, and of what is weighed after it."""
    continuations = arm.scorer.continuations(sample)
    return digest([prompt, continuations]) if continuations else prompt


def why(spec: Spec, bench: Bench, tasks: Sequence[PlannedTask], before: Lock | None) -> str:
    requests, cached = sum(task.requests for task in tasks), sum(task.cached for task in tasks)
    if cached == requests:
        return "every answer is stored"
    if before is None:
        return "first run of this step" if cached == 0 else "an unfinished run goes on, or answers are shared"
    changes = [*_model_changes(bench, before), *_task_changes(task_locks(spec, bench), before)]
    return f"since the last run: {'; '.join(changes)}" if changes else "the last run did not finish"


def _model_changes(bench: Bench, before: Lock) -> Iterator[str]:
    old = before.models.get(bench.model.name)
    for name, new in sorted(model_lock(bench).parts.items()):
        if old is None or old.parts.get(name) != new:
            yield f"{bench.model.name}: {name} changed" if old else f"{bench.model.name} is new"
            if old is None:
                return


def _task_changes(now: Sequence[TaskLock], before: Lock) -> Iterator[str]:
    known = {_place(task): task for task in before.tasks}
    for task in now:
        old = known.get(_place(task))
        if old is None:
            yield f"{task.category} is new"
        else:
            yield from (f"{task.category}: {change}" for change in _task_change(task, old))


def _place(task: TaskLock) -> tuple[str, str, str]:
    """What tells a task from the others of its run: within a route also the model."""
    return task.step, task.category, task.model if task.route else ""


def _task_change(new: TaskLock, old: TaskLock) -> Iterator[str]:
    added = len(set(new.items) - set(old.items))
    if added:
        yield f"{added} new items"
    elif new.shots != old.shots:
        yield "the examples changed"
    elif new.prompts != old.prompts and new.items == old.items:
        yield "the prompts changed"
    if (new.sampling is None) != (old.sampling is None):
        yield "answers are now generated" if old.sampling is None else "continuations are now weighed"
    if new.formats != old.formats:
        yield "the formats changed"
    for name in _TOLD if new.sampling and old.sampling else ():
        then, this = getattr(old.sampling, name), getattr(new.sampling, name)
        if then != this:
            yield f"{name} changed from {then} to {this}"
    if new.judge != old.judge and new.judge is not None:
        yield "the judge changed" if old.judge is not None else "a judge is asked now"
    if new.samples != old.samples:
        yield f"samples changed from {old.samples} to {new.samples}"
