"""The diagnoses of a run, made from its rows in the same pass as everything else."""

from __future__ import annotations

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import Lock
from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses import KINDS, Diagnoser


class Diagnoses:
    """Hands each row to the diagnoses that read its step."""

    def __init__(self, lock: Lock) -> None:
        self._made: dict[str, Diagnoser] = {one.step: KINDS[one.diagnosis](one) for one in lock.diagnoses}
        self._readers: dict[str, list[Diagnoser]] = {}
        for one in lock.diagnoses:
            for step in set(one.reads.values()):
                self._readers.setdefault(step, []).append(self._made[one.step])

    def add(self, row: SampleRow) -> None:
        for reader in self._readers.get(row.step, ()):
            reader.add(row)

    def results(self) -> dict[str, Diagnosis]:
        """By the name of the step, in the order of the plan."""
        return {name: made.result() for name, made in self._made.items()}
