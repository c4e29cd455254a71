"""Two steps of one spec whose answers cannot differ: a mistake, told before anything is asked.

Two arms are the same where model, items, prompts, decisive sampling and what is made of the answers are. A seed decides
nothing where the likeliest token is taken, and the first of several candidates is the one answer of the same sampling.
Steps that ask the same on purpose (`repeat`, and those that a diagnosis asks for itself) are no mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from evalkit.core.errors import SpecError
from evalkit.core.keys import decisive
from evalkit.spec.model import DiagnoseStep, Spec
from evalkit.steps.bench import Arm, Bench

_ASKING_THE_SAME = ("consistency", "determinism")
"""Diagnoses whose steps may be those that another step asked already: their answers are shared, not compared."""
_SIDE_BY_SIDE = ("compare", "sweep")
_HINT = "take one of them out, or let them differ in what decides the answers; `repeat: 1` asks the same once more"


def check_arms(spec: Spec, benches: Sequence[Bench], *, limited: bool = False) -> None:
    """Raises SpecError naming two steps whose answers cannot differ, and why. `limited`: fewer items are asked than the
    spec says, so that different samples may have become the same: then only steps of one suite are looked at."""
    groups: dict[object, list[Bench]] = {}
    for bench in benches:
        groups.setdefault((_signature(bench), bench.step.suite if limited else ""), []).append(bench)
    for group in groups.values():
        for one, other in combinations(group, 2):
            if _matters(spec, one, other) and _same_prompts(one, other):
                message = f"the answers of steps '{one.step.name}' and '{other.step.name}' cannot differ"
                raise SpecError(f"{message}: {_why(one, other)}", hint=_HINT)


def _signature(bench: Bench) -> object:
    """What decides the answers of a step and which of them count, but for the prompts."""
    arms = frozenset(
        (
            arm.task,
            arm.split,
            arm.sha256,
            frozenset(sample.id for sample in arm.samples),
            None if arm.weighs else tuple(map(decisive, arm.turns or (arm.sampling,))),
            _counted(bench, arm),
        )
        for arm in bench.arms
    )
    fingerprint = (bench.fingerprint.engine, tuple(sorted(bench.fingerprint.parts.items())))
    return fingerprint, bench.step.repeat, arms


def _counted(bench: Bench, arm: Arm) -> object:
    """How many answers count or are picked from, and how one is picked."""
    policy = arm.policy
    if arm.weighs or _one_answer(bench, arm) or _takes_first(arm):
        return 1
    return policy.answers if policy.select is None else (policy.answers, policy.select)


def _takes_first(arm: Arm) -> bool:
    return arm.policy.select is not None and arm.policy.select.by == "first"


def _one_answer(bench: Bench, arm: Arm) -> bool:
    """Whether all answers to an item are the same: drawn greedily, and not recorded in several runs."""
    return arm.sampling.greedy and not bench.fingerprint.by_item


def _matters(spec: Spec, one: Bench, other: Bench) -> bool:
    """Two steps that are set side by side always do; else not where a diagnosis asks for one of them itself."""
    names = {one.step.name, other.step.name}
    read = list(_reads(spec, _SIDE_BY_SIDE))
    return any(names <= steps for steps in read) or not any(names & steps for steps in _reads(spec, _ASKING_THE_SAME))


def _reads(spec: Spec, diagnoses: Sequence[str]) -> Iterator[set[str]]:
    for step in spec.steps.values():
        if isinstance(step, DiagnoseStep) and step.diagnosis in diagnoses:
            yield set(step.reads.values())


def _same_prompts(one: Bench, other: Bench) -> bool:
    return _prompts(one) == _prompts(other)


def _prompts(bench: Bench) -> dict[tuple[str, str, str], tuple[object, ...]]:
    return {
        (arm.task, arm.split, sample.id): (sample.prompt, sample.followups)
        for arm in bench.arms
        for sample in arm.samples
    }


def _why(one: Bench, other: Bench) -> str:
    """What seems to differ and decides nothing; else that nothing does."""
    arms = [(bench, arm) for bench in (one, other) for arm in bench.arms]
    policies = [{arm.policy for arm in bench.arms} for bench in (one, other)]
    if policies[0] == policies[1]:
        return "model, items, prompts and sampling are the same"
    picked = [(bench, arm) for bench, arm in arms if _takes_first(arm) and not _one_answer(bench, arm)]
    if picked:
        bench, arm = picked[0]
        return (
            f"the first of the {arm.policy.answers} candidates of '{bench.step.name}' is the one answer of the same "
            "sampling"
        )
    if any(_one_answer(bench, arm) for bench, arm in arms):
        return "both take the likeliest token, where seed, top_p, top_k, min_p and the number of answers decide nothing"
    return "model, items, prompts and sampling are the same"
