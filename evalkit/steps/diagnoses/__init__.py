"""The verb `diagnose`: what explains a result. Each kind reads the rows of other steps and asks nothing itself.

A diagnosis takes rows one at a time and holds of them what it needs, never their texts: so a
run of a million answers is no more than a run of a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses.consistency import Consistency
from evalkit.steps.diagnoses.determinism import Determinism
from evalkit.steps.diagnoses.diversity import Diversity
from evalkit.steps.diagnoses.errors import Errors
from evalkit.steps.diagnoses.rubric import RubricValidity
from evalkit.steps.diagnoses.sweep import Sweep


class Diagnoser(Protocol):
    """One kind of diagnosis at work."""

    def add(self, row: SampleRow) -> None:
        """Take a row of one of the steps that the lock names, each once, in the order of the run."""
        ...

    def result(self) -> Diagnosis:
        """What was found. May be asked once all rows were added."""
        ...


KINDS: Mapping[str, Callable[[DiagnosisLock], Diagnoser]] = {
    "consistency": Consistency,
    "determinism": Determinism,
    "diversity": Diversity,
    "errors": Errors,
    "rubric": RubricValidity,
    "sweep": Sweep,
}
"""Every kind by its name in the language."""
