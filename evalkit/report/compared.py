"""A pair as people look at it: what the judges said, beside the rows of both answers."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.report.folder import read_rows, read_verdicts


class ComparedPair(Struct, frozen=True):
    """One verdict about a pair, and the rows of both answers; None for an answer that has none."""

    verdict: VerdictRow
    player: SampleRow | None
    opponent: SampleRow | None


def compared(folder: Path, wanted: str) -> list[ComparedPair]:
    """The verdicts of a judge step about an item, `STEP/ID`; nothing where the step is none."""
    found = [one for one in read_verdicts(folder) if wanted == f"{one.step}/{one.id}"]
    sides = {(side.step, one.id, side.completion) for one in found for side in (one.player, one.opponent)}
    rows: dict[tuple[str, str, str], SampleRow] = {}
    for row in read_rows(folder) if found else ():
        if (row.step, row.id, row.completion) in sides:
            rows.setdefault((row.step, row.id, row.completion), row)
    return [
        ComparedPair(one, *(rows.get((side.step, one.id, side.completion)) for side in (one.player, one.opponent)))
        for one in found
    ]
