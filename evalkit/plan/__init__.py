"""From a spec to a plan: the steps in order, everything they need looked up, and what the store has of it already.

Nothing is generated, no model library is imported, no engine started: a plan costs reading the data and the store.
"""

from __future__ import annotations

from evalkit.core.types import Fingerprint
from evalkit.plan.costs import planned_bench, planned_diagnosis
from evalkit.plan.locks import model_lock, task_locks
from evalkit.plan.needs import order, restricted
from evalkit.plan.planned import Plan, PlannedStep, PlannedTask, Sources
from evalkit.plan.prepare import check_recorded, prepare, with_limits
from evalkit.spec.model import BenchStep, DiagnoseStep, Spec

__all__ = [
    "Plan",
    "PlannedStep",
    "PlannedTask",
    "Sources",
    "make",
    "model_lock",
    "restricted",
    "task_locks",
    "with_limits",
]


def make(spec: Spec, sources: Sources) -> Plan:
    """Plan every step. Raises DataError or PrerequisiteError when data, a scorer or an engine is not to be had."""
    fingerprints: dict[str, Fingerprint] = {}
    steps = [spec.steps[name] for name in order(spec)]
    benches = {step.name: prepare(spec, step, sources, fingerprints) for step in steps if isinstance(step, BenchStep)}
    check_recorded(list(benches.values()))
    return Plan(
        spec,
        tuple(
            planned_diagnosis(step)
            if isinstance(step, DiagnoseStep)
            else planned_bench(spec, benches[step.name], sources)
            for step in steps
        ),
    )
