"""Looking up everything that a bench step names: its data, its scorers, its model, what picks among candidates."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.ports import EngineAdapter, Scorer
from evalkit.core.types import Fingerprint, Json, Limits, Model, Sample
from evalkit.plan.judging import judge_of
from evalkit.plan.planned import Sources
from evalkit.plan.rates import rate_of
from evalkit.plan.routes import routed, selector_of
from evalkit.spec.model import BenchStep, Spec, TaskUse, sampling, turns
from evalkit.steps.bench import Arm, Bench
from evalkit.steps.formats import format_parts
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.samples import check, samples
from evalkit.tasks.shots import shots_of

_REFERENCE_RULE = ("reference_factor", "reference_floor_s")


def prepare(spec: Spec, step: BenchStep, sources: Sources, fingerprints: dict[str, Fingerprint]) -> tuple[Bench, ...]:
    """Look up everything that a bench step names: a bench for each model that it asks, in the order in which they are
    asked. `fingerprints` remembers models seen before."""
    arms = tuple(_arm(spec, step, use, (sources, fingerprints)) for use in spec.suites[step.suite])

    salt = f"{sources.salt}repeat {step.repeat}" if step.repeat else sources.salt

    def bench(name: str, asked: tuple[Arm, ...]) -> Bench:
        model = spec.models[name]
        adapter: EngineAdapter = registry.load("engines", model.engine)
        if name not in fingerprints:
            fingerprints[name] = adapter.fingerprint(model)
        fingerprint = replace(fingerprints[name], format_parts=format_parts(model, asked))
        _check_weighing(adapter, model, asked)
        model = model if step.batch is None else adapter.batched(model, step.batch)
        return Bench(step, model, fingerprint, asked, salt, rate_of(spec, model))

    if step.model in spec.routes:
        return routed(spec, step.model, arms, bench, sources.notify)
    return (bench(step.model, arms),)


def _check_weighing(adapter: EngineAdapter, model: Model, arms: Sequence[Arm]) -> None:
    weighing = [arm for arm in arms if arm.weighs]
    for arm in weighing:
        if arm.selector is not None:
            message = f"task {arm.task} wants options weighed: there is one answer, and nothing to pick from"
            raise SpecError(message, hint="give its category a policy without `best_of`")
        if any(sample.followups for sample in arm.samples):
            message = f"task {arm.task} asks several turns and wants options weighed: there is no answer to go on from"
            raise SpecError(message, hint="ask one turn, or score by the letter that is written")
    if weighing:
        adapter.check_weighing(model)


def check_recorded(benches: Sequence[Bench]) -> None:
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


def _arm(spec: Spec, step: BenchStep, use: TaskUse, known: tuple[Sources, dict[str, Fingerprint]]) -> Arm:
    sources, fingerprints = known
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
        selector=selector_of(policy, spec),
        judge=judge_of(spec, policy, task, fingerprints),
    )


def with_limits(options: dict[str, Json], sandbox: dict[str, Json]) -> dict[str, Json]:
    """A scorer's options with the spec's limits of programs; a limit that the task names itself stays.

    The spec's rule about the reference's time is for tasks that name a `reference`.
    """
    limits = {name: sandbox[name] for name in Limits.__struct_fields__ if name in sandbox}
    rule = {name: sandbox[name] for name in _REFERENCE_RULE if name in sandbox and "reference" in options}
    whole = {**rule, **options}
    return {**whole, "limits": {**limits, **options.get("limits", {})}} if limits else whole
