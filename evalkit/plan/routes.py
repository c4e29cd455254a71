"""The benches of a step whose model is a route: one for each model that is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.ports import Notify, Selector
from evalkit.core.routing import Escalation
from evalkit.core.types import Json
from evalkit.plan.judging import judge_name
from evalkit.spec.model import Policy, Spec, sampling, turns
from evalkit.steps.bench import Arm, Bench, Gate
from evalkit.steps.routing import partition

Make = Callable[[str, tuple[Arm, ...]], Bench]
"""A bench of a model, by its name, over some arms."""


def routed(spec: Spec, name: str, arms: tuple[Arm, ...], make: Make, notify: Notify) -> tuple[Bench, ...]:
    """The benches of the route `name`, in the order in which they are asked.

    Raises DataError for a field that no row has, SpecError where a sample fits no rule or where the policy gives an
    escalation nothing to go by.
    """
    route = spec.routes[name]
    if route.when is None:
        parts = partition(name, route.rules, arms)
        for model in {rule.model: None for rule in route.rules}:
            if model not in parts:
                notify(f"the route '{name}' sends nothing to model '{model}'")
        return tuple(replace(make(model, asked), route=name) for model, asked in parts.items())
    assert route.first is not None
    assert route.then is not None
    _check_answers(name, route.when, arms)
    first = replace(make(route.first, arms), route=name, gate=Gate(route.when, _rubric(spec, route.when)))
    later = arms if route.then_policy is None else tuple(_asked_by(spec, route.then_policy, arm) for arm in arms)
    return (first, replace(make(route.then, later), route=name, after=first))


def _asked_by(spec: Spec, name: str, arm: Arm) -> Arm:
    """The arm under another policy."""
    policy = spec.policies[name]
    if policy.select is not None and judge_name(spec, policy) is not None:
        message = f"`then_policy` '{name}' asks a judge, which is not yet available there"
        raise SpecError(message, hint="let a rubric or the majority pick")
    task = spec.tasks[arm.task]
    return replace(
        arm,
        policy=policy,
        sampling=sampling(policy, task),
        turns=turns(policy, task) if task.formats else (),
        selector=selector_of(policy, spec),
        judge=None,
    )


def _rubric(spec: Spec, when: Escalation) -> Selector | None:
    if when.rubric is None:
        return None
    rubric = spec.rubrics[when.rubric]
    if rubric.oracle or rubric.judge is not None:
        reads = "knows the verdicts, which no route can" if rubric.oracle else "asks a judge"
        hint = "decide by criteria that read the answer alone"
        raise SpecError(f"the rubric '{rubric.name}' {reads}: it cannot decide whom to ask", hint=hint)
    made: Selector = registry.load("selectors", "rubric")(rubric.options)
    return made


def selector_of(policy: Policy, spec: Spec) -> Selector | None:
    """What picks one of a policy's candidates; None where each answer counts."""
    if policy.select is None:
        return None
    options: dict[str, Json] = {}
    if policy.select.rubric is not None:
        options = spec.rubrics[policy.select.rubric].options
    elif policy.select.judge is not None:
        options = {"questions": spec.judges[policy.select.judge].ask}
    made: Selector = registry.load("selectors", policy.select.by)(options)
    return made


def _check_answers(name: str, when: Escalation, arms: Sequence[Arm]) -> None:
    """Agreement is among several answers, points are of the one that counts, and neither is of what is weighed."""
    for arm in arms:
        where = f"policy '{arm.policy.name}' of {arm.category}"
        if arm.weighs:
            message = f"the route '{name}' reads answers, and of {arm.category} options are weighed: nothing is written"
            raise SpecError(message, hint="let rules choose the model there")
        if when.by == "rubric" and arm.judge is not None:
            message = f"the route '{name}' reads the points of the answer that counts, and {where} asks a judge for it"
            raise SpecError(message, hint="a policy that picks without a judge")
        if when.by == "agreement" and arm.policy.answers == 1:
            message = f"the route '{name}' asks whether answers agree, and {where} gives one"
            raise SpecError(message, hint="a policy with `samples: 5`, or with `best_of: 5` and `select: majority`")
        if when.by == "rubric" and arm.policy.samples > 1:
            message = f"the route '{name}' reads the points of the answer that counts, and of {where} several count"
            raise SpecError(message, hint="a policy with one answer, or with `best_of` and `select`")
