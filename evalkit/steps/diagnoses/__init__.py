"""The verb `diagnose`: what explains a result. Each kind reads the rows of other steps and asks nothing itself.

A diagnosis takes rows one at a time. What it holds grows with the answers, but by their digests and verdicts and never
by their texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.steps.diagnoses.compare import Compare
from evalkit.steps.diagnoses.composition import Composition
from evalkit.steps.diagnoses.consistency import Consistency
from evalkit.steps.diagnoses.determinism import Determinism
from evalkit.steps.diagnoses.diversity import Diversity
from evalkit.steps.diagnoses.errors import Errors
from evalkit.steps.diagnoses.order import FileOrder
from evalkit.steps.diagnoses.route import RouteDiagnosis
from evalkit.steps.diagnoses.rubric import RubricValidity
from evalkit.steps.diagnoses.sweep import Sweep
from evalkit.steps.diagnoses.ties import Ties


class Diagnoser(Protocol):
    """One kind of diagnosis at work."""

    def add(self, row: SampleRow) -> None:
        """Take a row of one of the steps that the lock names, each once, in the order of the run."""
        ...

    def result(self) -> Diagnosis:
        """What was found. May be asked once all rows were added."""
        ...


@runtime_checkable
class Listener(Protocol):
    """One kind of diagnosis that reads verdicts."""

    def hear(self, row: VerdictRow) -> None:
        """Take a verdict of one of the `judge` steps that the lock names, each once, in the order of the run."""
        ...


KINDS: Mapping[str, Callable[[DiagnosisLock], Diagnoser]] = {
    "compare": Compare,
    "composition": Composition,
    "consistency": Consistency,
    "determinism": Determinism,
    "diversity": Diversity,
    "errors": Errors,
    "order": FileOrder,
    "route": RouteDiagnosis,
    "rubric": RubricValidity,
    "sweep": Sweep,
    "ties": Ties,
}
"""Every kind by its name in the language."""
