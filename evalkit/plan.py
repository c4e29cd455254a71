"""From a spec to a plan: the steps in order, everything they need looked up, and what the store has of it already.

Nothing is generated, no model library is imported, no engine started: a plan costs reading the data and the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.digest import digest, digest_text
from evalkit.core.errors import SpecError
from evalkit.core.ports import Notify, Scorer, Store
from evalkit.core.runfolder import Lock, ModelLock, TaskLock
from evalkit.core.types import Fingerprint, Json, Limits, Model, Prompt, Sample, SamplingParams
from evalkit.spec.model import BenchStep, SampleRule, Spec, Task, TaskUse, sampling, turns
from evalkit.steps.bench import Arm, Bench, Cell, cells, chunks, reference_of, trial_of
from evalkit.steps.formats import format_parts
from evalkit.steps.turns import reached, wanted
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.samples import check, samples, shape
from evalkit.tasks.shots import shots_of

_CHUNK = 512
_ROUGH_CHARACTERS_A_TOKEN = 4
_TOLD = tuple(name for name in SamplingParams.__struct_fields__ if name != "json_schema")
"""Sampling parameters whose values fit into a sentence."""
_REFERENCE_RULE = ("reference_factor", "reference_floor_s")


class Sources(Struct, frozen=True):
    """Where a plan looks: data folders, the store, the sandbox's identity (None: no sandbox engine answers), the lock
    of the run before (for the reason of a miss), and the salt of a `--fresh` run."""

    store: Store
    notify: Notify
    folders: tuple[Path, ...] = ()
    identity: str | None = None
    previous: Lock | None = None
    salt: str = ""


class PlannedTask(Struct, frozen=True):
    """One task of a step: `requests` completions over `items` items, `cached` of them stored."""

    category: str
    task: str
    split: str
    items: int
    requests: int
    cached: int


class PlannedStep(Struct, frozen=True):
    """One step with its cost. Tokens count only what is not stored; `max_completion_tokens` is the ceiling.
    Of a later turn, whose prompt will hold answers that are not there yet, the rest of its prompt is counted.

    `programs_cached` is None where it cannot be known: nothing is executed, or no sandbox engine answers. `references`
    are programs known to be right whose own time limits others, `references_cached` those of them that are timed
    already; None where that cannot be known. `continuations` are to be weighed, and cost no completion tokens.
    """

    name: str
    verb: str
    needs: tuple[str, ...]
    key: str
    requests: int
    cached: int
    programs_cached: int | None
    prompt_tokens: int
    max_completion_tokens: int
    tokens_exact: bool
    why: str
    tasks: tuple[PlannedTask, ...]
    work: Bench
    references: int = 0
    references_cached: int | None = None
    continuations: int = 0


class Plan(Struct, frozen=True):
    """A spec ready to be executed, steps in an order that respects what they need."""

    spec: Spec
    steps: tuple[PlannedStep, ...]

    @property
    def executes(self) -> bool:
        return any(step.work.executes for step in self.steps)


def make(spec: Spec, sources: Sources) -> Plan:
    """Plan every step. Raises DataError or PrerequisiteError when data, a scorer or an engine is not to be had."""
    fingerprints: dict[str, Fingerprint] = {}
    benches = [prepare(spec, spec.steps[name], sources, fingerprints) for name in order(spec)]
    _check_recorded(benches)
    return Plan(spec, tuple(_planned(spec, bench, sources) for bench in benches))


def restricted(spec: Spec, limit: int | None, only: Sequence[str]) -> Spec:
    """The spec with at most `limit` items a task, and only the steps named. Raises SpecError for an unknown step."""
    for name in only:
        if name not in spec.steps:
            raise SpecError(f"no step is called '{name}'", hint=f"steps: {', '.join(spec.steps)}")
    steps = {name: step for name, step in spec.steps.items() if not only or name in only}
    suites = spec.suites
    if limit is not None:
        suites = {name: tuple(_limited(use, limit) for use in uses) for name, uses in suites.items()}
    return replace(spec, steps=steps, suites=suites)


def _limited(use: TaskUse, limit: int) -> TaskUse:
    rule = use.sample
    return replace(use, sample=SampleRule(limit) if rule is None else replace(rule, n=min(rule.n, limit)))


def order(spec: Spec) -> list[str]:
    """Step names so that each comes after what it needs; otherwise as written."""
    return list(TopologicalSorter({name: needs(spec.steps[name]) for name in spec.steps}).static_order())


def needs(step: BenchStep) -> tuple[str, ...]:
    """The steps whose outputs a step uses. A bench uses none."""
    return ()


def prepare(spec: Spec, step: BenchStep, sources: Sources, fingerprints: dict[str, Fingerprint]) -> Bench:
    """Look up everything that a bench step names. `fingerprints` remembers models seen before."""
    model = spec.models[step.model]
    if model.name not in fingerprints:
        fingerprints[model.name] = registry.load("engines", model.engine).fingerprint(model)
    arms = tuple(_arm(spec, step, use, sources) for use in spec.suites[step.suite])
    fingerprint = replace(fingerprints[model.name], format_parts=format_parts(model, arms))
    weighing = [arm for arm in arms if arm.weighs]
    for arm in weighing:
        if any(sample.followups for sample in arm.samples):
            message = f"task {arm.task} asks several turns and wants options weighed: there is no answer to go on from"
            raise SpecError(message, hint="ask one turn, or score by the letter that is written")
    if weighing:
        registry.load("engines", model.engine).check_weighing(model)
    return Bench(step, model, fingerprint, arms, sources.salt, spec.cost.get("gpu_hour"))


def _check_recorded(benches: Sequence[Bench]) -> None:
    """Raises SpecError where the answer to one prompt would be given to another: an engine that answers by item knows
    task and id, and neither the split nor the examples."""
    known: dict[tuple[str, str, str], tuple[Arm, Sample]] = {}
    for bench in benches:
        for arm in bench.arms if bench.fingerprint.by_item else ():
            for sample in arm.samples:
                first, same = known.setdefault((bench.model.name, sample.task, sample.id), (arm, sample))
                if (sample.prompt, sample.followups) != (same.prompt, same.followups):
                    places = " and ".join(f"'{one.category}' (split '{one.split}')" for one in (first, arm))
                    raise SpecError(
                        f"model '{bench.model.name}' has one answer to item '{sample.id}' of task '{sample.task}', and "
                        f"{places} ask for it with different prompts",
                        hint="give the recordings of each split as a model of their own, or ids that tell the splits "
                        "apart",
                    )


def _arm(spec: Spec, step: BenchStep, use: TaskUse, sources: Sources) -> Arm:
    task = spec.tasks[use.task]
    rows = read_rows(task, use.split, sources.folders, sources.notify)
    name = use.policy or step.policy.get(use.category) or step.policy["default"]
    policy = spec.policies[name]
    make_scorer = registry.load("scorers", task.scorer)
    options = with_limits(task.scorer_options, spec.sandbox) if make_scorer.executes else task.scorer_options
    scorer: Scorer = make_scorer(options)
    shots = shots_of(task, use)
    examples = read_rows(task, shots.split, sources.folders, sources.notify) if shots is not None else None
    chosen = tuple(samples(task, use, rows, spec.seed, sources.notify, examples))
    check(scorer, chosen)
    return Arm(
        category=use.category,
        task=use.task,
        split=use.split,
        samples=chosen,
        policy=policy,
        sampling=sampling(policy, task),
        turns=turns(policy, task) if task.formats else (),
        scorer=scorer,
        origin=rows.origin,
        sha256=rows.sha256,
        shots_origin=examples.origin if examples is not None else "",
        shots_sha256=examples.sha256 if examples is not None else "",
    )


def with_limits(options: dict[str, Json], sandbox: dict[str, Json]) -> dict[str, Json]:
    """A scorer's options with the spec's limits of programs; a limit that the task names itself stays.

    The spec's rule about the reference's time is for tasks that name a `reference`.
    """
    limits = {name: sandbox[name] for name in Limits.__struct_fields__ if name in sandbox}
    rule = {name: sandbox[name] for name in _REFERENCE_RULE if name in sandbox and "reference" in options}
    whole = {**rule, **options}
    return {**whole, "limits": {**limits, **options.get("limits", {})}} if limits else whole


# cost and cache state


def _planned(spec: Spec, bench: Bench, sources: Sources) -> PlannedStep:
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
        why=_why(spec, bench, tasks, sources.previous),
        tasks=tuple(tasks),
        work=bench,
        references=references,
        references_cached=timed,
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


# what a step consists of: for the lock, the step's key, and the reason of a miss


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
        samples=1 if weighs else arm.policy.samples,
        sampling=None if weighs else arm.asked(-1),
        source=task.source,
        license=task.license,
        shots=drawn.shots,
        shots_each=len(arm.samples[0].shots) if arm.samples else 0,
        shots_origin=arm.shots_origin,
        shots_sha256=arm.shots_sha256,
        formats=tuple(schema and digest_text(schema) for schema in arm.schemas),
    )


def _asked(arm: Arm, sample: Sample, prompt: str) -> str:
    """The digest of a prompt, and of what is weighed after it."""
    continuations = arm.scorer.continuations(sample)
    return digest([prompt, continuations]) if continuations else prompt


def _why(spec: Spec, bench: Bench, tasks: Sequence[PlannedTask], before: Lock | None) -> str:
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
    known = {(task.step, task.category): task for task in before.tasks}
    for task in now:
        old = known.get((task.step, task.category))
        if old is None:
            yield f"{task.category} is new"
        else:
            yield from (f"{task.category}: {change}" for change in _task_change(task, old))


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
    if new.samples != old.samples:
        yield f"samples changed from {old.samples} to {new.samples}"
