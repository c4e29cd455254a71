"""The diagnoses of a run: made from its rows in the same pass as everything else, and how their tables are printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from evalkit.core.diagnosis import Diagnosis, Kind
from evalkit.core.runfolder import Lock
from evalkit.core.types import Json, SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.report import numbers, text
from evalkit.steps.diagnoses import KINDS, Diagnoser, Listener
from evalkit.steps.diagnoses.compare import Compare
from evalkit.steps.diagnoses.contrast import Contrast
from evalkit.steps.diagnoses.duel import Duel


class Diagnoses:
    """Hands each row and each verdict to the diagnoses that read its step."""

    def __init__(self, lock: Lock) -> None:
        self._compared = {one.step: Compare(one, lock) for one in lock.diagnoses if one.diagnosis == "compare"}
        self._made: dict[str, Diagnoser] = {
            one.step: self._compared[one.step] if one.step in self._compared else KINDS[one.diagnosis](one)
            for one in lock.diagnoses
        }
        self.duels = {one.step: Duel(one) for one in lock.pairings}
        """What judges said of pairs, by the name of the `judge` step."""
        self._readers: dict[str, list[Diagnoser]] = {}
        self._listeners: dict[str, list[Listener]] = {name: [duel] for name, duel in self.duels.items()}
        for one in lock.diagnoses:
            made = self._made[one.step]
            for step in set(one.reads.values()):
                if step not in self._listeners:
                    self._readers.setdefault(step, []).append(made)
                elif isinstance(made, Listener):
                    self._listeners[step].append(made)

    def add(self, row: SampleRow) -> None:
        for reader in self._readers.get(row.step, ()):
            reader.add(row)

    def hear(self, row: VerdictRow) -> None:
        for listener in self._listeners.get(row.step, ()):
            listener.hear(row)

    def contrasts(self) -> dict[str, dict[str, Contrast]]:
        """The differences of each comparison, by category and of all of them."""
        return {name: made.contrasts() for name, made in self._compared.items()}

    def results(self) -> dict[str, Diagnosis]:
        """By the name of the step: what judges said before what explains it, otherwise in the order of the plan."""
        judged = {name: duel.result() for name, duel in self.duels.items()}
        return judged | {name: made.result() for name, made in self._made.items()}


TITLES = {
    "compare": "Comparison",
    "consistency": "Consistency",
    "determinism": "Noise floor",
    "diversity": "Diversity",
    "errors": "Failures",
    "judge": "Judged",
    "route": "What the route is worth",
    "rubric": "What the selector is worth",
    "sweep": "Sweep",
    "ties": "Ties and who is right",
}


class DiagnosisPage(Struct, frozen=True):
    """What there is to say of one diagnosis. `figures` are their titles and paths; `undrawn` counts those that could
    not be drawn here."""

    name: str
    title: str
    found: Diagnosis
    figures: tuple[tuple[str, str], ...]
    undrawn: int


def pages(diagnoses: Mapping[str, Diagnosis], drawn: Mapping[str, str]) -> tuple[DiagnosisPage, ...]:
    """One for each diagnosis, in the order of the plan."""
    return tuple(_page(name, found, drawn) for name, found in diagnoses.items())


def _page(name: str, found: Diagnosis, drawn: Mapping[str, str]) -> DiagnosisPage:
    named = {f"{name}-{figure.name}": figure.title for figure in found.figures}
    figures = tuple((title, drawn[key]) for key, title in named.items() if key in drawn)
    title = TITLES.get(found.diagnosis, found.diagnosis.capitalize())
    return DiagnosisPage(name, title, found, figures, len(named) - len(figures))


_PRINTED: dict[Kind, Callable[[Json], str]] = {
    "text": lambda value: text.cell(str(value)),
    "texts": lambda value: text.cell(", ".join(map(str, value)) or numbers.DASH),
    "count": numbers.count,
    "share": numbers.pct,
    "points": numbers.points,
    "number": numbers.number,
    "p": numbers.p,
    "interval": numbers.interval,
    "points_range": numbers.points_range,
    "range": numbers.span,
    "seconds": numbers.seconds,
    "usd": numbers.usd,
}


def table_cell(value: Json, kind: Kind) -> str:
    """A raw value of a diagnosis' table in print."""
    return numbers.DASH if value is None else _PRINTED[kind](value)
