"""The diagnosis `ties`: verdicts crossed with who is right, and with several answers to the tied items."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.steps.diagnoses.ties import Ties

Build = Callable[..., VerdictRow]
Rows = Callable[..., SampleRow]


def ties(rows: Iterable[VerdictRow], drawn: Iterable[SampleRow] = (), **reads: str) -> Diagnosis:
    made = Ties(DiagnosisLock(step="ties", diagnosis="ties", reads={"of": "duel", **reads}))
    for row in drawn:
        made.add(row)
    for verdict in rows:
        made.hear(verdict)
    return made.result()


def some(verdict: Build) -> list[VerdictRow]:
    """Ten pairs: four ties of two right answers, two of two wrong ones, one of one right, a wrong win, a right loss, an
    inconsistent pair of which one side is right."""
    marks = [("tie", "++")] * 4 + [("tie", "--")] * 2
    marks += [("tie", "+-"), ("win", "-+"), ("loss", "-+"), ("first", "-+")]
    return [verdict(said, right=right, id=f"i{n}") for n, (said, right) in enumerate(marks)]


def test_the_cross(verdict: Build) -> None:
    """Every pair is in one cell."""
    found = ties(some(verdict))
    cross = next(one for one in found.tables if one.name == "cross")
    assert list(cross.rows) == [
        ("c", "win", 1, 0, 0, 1, 0, 0),
        ("c", "loss", 1, 0, 0, 1, 0, 0),
        ("c", "tie", 7, 4, 1, 0, 2, 0),
        ("c", "inconsistent", 1, 0, 0, 1, 0, 0),
        ("c", "all, p = 0.625", 10, 4, 1, 3, 2, 0),
    ]
    numbers = found.metrics
    assert (7.0, 4.0, 2.0, 1.0, 0.0) == tuple(
        numbers[name] for name in ("ties", "ties_both_right", "ties_both_wrong", "ties_one_right", "ties_unverifiable")
    )
    assert (4.0, 2.0, 1.0, 1.0, 0.625) == tuple(
        numbers[name] for name in ("one_right", "missed", "named_wrong", "wins_of_wrong_answers", "p")
    )


def test_what_is_raised(verdict: Build) -> None:
    """Two wrong ones, two right ones, and who was right without being named: the pair that was named wrong first."""
    raised = {one.code: one for one in ties(some(verdict)).raised}
    assert {"ties_both_wrong", "ties_both_right", "judge_missed"} == set(raised)
    assert (2, 7) == (raised["ties_both_wrong"].values["count"], raised["ties_both_wrong"].values["known"])
    missed = raised["judge_missed"]
    assert (2, 1, 4) == (missed.values["missed"], missed.values["wrong"], missed.values["one_right"])
    assert ("duel/i7", "duel/i6", "duel/i9") == missed.samples


def test_unverifiable_ties_say_nothing(verdict: Build) -> None:
    """Nobody knows who is right: no finding, and a sentence that says so."""
    found = ties([verdict("tie", id=f"i{n}") for n in range(9)])
    assert () == found.raised
    assert (9.0, 0.0, None) == (found.metrics["ties_unverifiable"], found.metrics["one_right"], found.metrics["p"])
    assert "9 of 9 pairs are unverifiable: only the judge speaks of them." in found.notes


def test_with_several_answers(verdict: Build, row: Rows) -> None:
    """Tied item i0 is always right, i4 says the same wrong thing nine times of ten, i5 was not asked again."""
    drawn = [row(step="many", id="i0", sample=n, answer="1") for n in range(10)]
    drawn += [
        row(step="many", id="i4", sample=n, answer="2" if n else "3", outcome="fail" if n else "pass")
        for n in range(10)
    ]
    drawn += [row(step="other", id="i5", sample=n) for n in range(10)]
    found = ties(some(verdict), drawn, consistency="many")
    assert (2.0, 1.0, pytest.approx(0.55)) == tuple(
        found.metrics[name] for name in ("ties_drawn", "ties_consistent", "ties_share_right")
    )
    table = next(one for one in found.tables if one.name == "drawn")
    assert ("c", "tie", 2, 1.0, pytest.approx(0.55), 0.5, 0.0) == table.rows[0]
    assert 1 == len(table.rows)
    assert "2 of 7 ties are of items to which the player was also asked for several answers." in found.notes


def test_without_a_pair() -> None:
    found = ties([])
    assert (0.0, ()) == (found.metrics["pairs"], found.figures)
    assert ("No pair was judged: there is nothing to explain.",) == found.notes
