"""From a spec to a plan: the steps in order, everything they need looked up, and what the store has of it already.

Nothing is generated, no model library is imported, no engine started: a plan costs reading the data and the store.
"""

from __future__ import annotations

from msgspec.structs import replace

from evalkit.core.runfolder import TrainingLock
from evalkit.core.types import Fingerprint
from evalkit.plan.arms import check_arms
from evalkit.plan.costs import planned_diagnosis, planned_step
from evalkit.plan.foreseen import foreseen
from evalkit.plan.judging import judges_of
from evalkit.plan.locks import model_lock, task_locks
from evalkit.plan.needs import order, restricted
from evalkit.plan.pairing import pairing_lock, pairing_models, planned_pairing, prepare_pairing
from evalkit.plan.planned import Foreseen, Plan, PlannedStep, PlannedTask, Sources
from evalkit.plan.prepare import check_recorded, prepare, with_limits
from evalkit.plan.rates import check_budget, rates_of
from evalkit.spec.model import BenchStep, DiagnoseStep, JudgeStep, Spec, Step, TrainingFile

__all__ = [
    "Foreseen",
    "Plan",
    "PlannedStep",
    "PlannedTask",
    "Sources",
    "judges_of",
    "make",
    "model_lock",
    "pairing_lock",
    "pairing_models",
    "rates_of",
    "restricted",
    "task_locks",
    "with_limits",
]


def make(spec: Spec, sources: Sources) -> Plan:
    """Plan every step. Raises DataError or PrerequisiteError when data, a scorer or an engine is not to be had."""
    fingerprints: dict[str, Fingerprint] = {}
    trained: dict[TrainingFile, TrainingLock] = {}
    steps = [spec.steps[name] for name in order(spec)]
    benches = {step.name: prepare(spec, step, sources, fingerprints) for step in steps if isinstance(step, BenchStep)}
    pairings = {
        step.name: prepare_pairing(spec, step, benches, (sources, fingerprints))
        for step in steps
        if isinstance(step, JudgeStep)
    }
    check_budget(spec, rates_of((bench for some in benches.values() for bench in some), pairings.values()))
    check_recorded([bench for some in benches.values() for bench in some])
    check_arms(spec, [some[0] for some in benches.values() if not some[0].route], limited=sources.limited)

    def planned(step: Step) -> PlannedStep:
        if isinstance(step, DiagnoseStep):
            return planned_diagnosis(step, sources, trained)
        if isinstance(step, JudgeStep):
            return planned_pairing(spec, pairings[step.name], sources)
        return planned_step(spec, benches[step.name], sources)

    return Plan(spec, tuple(replace(planned(step), foreseen=foreseen(step, benches)) for step in steps))
