"""Which steps a step reads, in which order that puts them, and the part of a spec that a user asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from msgspec.structs import replace

from evalkit.core.errors import SpecError
from evalkit.spec.model import DiagnoseStep, JudgeStep, SampleRule, Spec, Step, TaskUse


def restricted(spec: Spec, limit: int | None, only: Sequence[str]) -> Spec:
    """The spec with at most `limit` items a task, and only the steps named, with those that they read.

    Raises SpecError for an unknown step.
    """
    for name in only:
        if name not in spec.steps:
            raise SpecError(f"no step is called '{name}'", hint=f"steps: {', '.join(spec.steps)}")
    wanted = _with_needs(spec, only or spec.steps)
    steps = {name: step for name, step in spec.steps.items() if name in wanted}
    suites = spec.suites
    if limit is not None:
        suites = {name: tuple(_limited(use, limit) for use in uses) for name, uses in suites.items()}
    return replace(spec, steps=steps, suites=suites)


def _with_needs(spec: Spec, names: Iterable[str]) -> set[str]:
    """These steps, and all that they read."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs(spec.steps[name])
    return found


def _limited(use: TaskUse, limit: int) -> TaskUse:
    rule = use.sample
    return replace(use, sample=SampleRule(limit) if rule is None else replace(rule, n=min(rule.n, limit)))


def order(spec: Spec) -> list[str]:
    """Step names so that each comes after what it needs; otherwise as written."""
    return list(TopologicalSorter({name: needs(spec.steps[name]) for name in spec.steps}).static_order())


def needs(step: Step) -> tuple[str, ...]:
    """The steps whose outputs a step uses. A bench uses none."""
    if isinstance(step, JudgeStep):
        return (step.player, step.opponent)
    return tuple(dict.fromkeys(step.reads.values())) if isinstance(step, DiagnoseStep) else ()
