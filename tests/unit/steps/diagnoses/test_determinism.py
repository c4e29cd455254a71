"""The noise floor: pairs of answers to the same question."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.intervals import wilson
from evalkit.steps.diagnoses.determinism import Determinism

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="d", diagnosis="determinism", reads={"again": "s2", "of": "s"}, roles=("of", "again"))


def diagnosis(rows: list[SampleRow]) -> Diagnosis:
    made = Determinism(LOCK)
    for row in rows:
        made.add(row)
    return made.result()


def test_texts_answers_and_verdicts(row: Build) -> None:
    """Four questions: equal, another text, another answer, another verdict."""
    first = [row(id=str(n), text=f"t{n}", answer="1", finish_reason="stop") for n in range(4)]
    again = [
        row(step="s2", id="0", text="t0", answer="1", finish_reason="stop"),
        row(step="s2", id="1", text="other", answer="1", finish_reason="stop"),
        row(step="s2", id="2", text="other", answer="one", finish_reason="stop"),
        row(step="s2", id="3", text="other", answer="2", outcome="fail", finish_reason="stop"),
    ]
    found = diagnosis(first + again)
    assert found.metrics == {
        "answers": 4.0,
        "other_texts": 0.75,
        "other_answers": 0.5,
        "other_verdicts": 0.25,
        "score": 1.0,
        "score_again": 0.75,
        "difference": -0.25,
    }
    assert found.tables[0].rows[0][6] == wilson(1, 4)
    [raised] = found.raised
    assert (raised.code, raised.values["texts"], raised.values["flips"]) == ("not_deterministic", 3, 1)
    assert raised.samples == ("s/3", "s/1", "s/2")
    assert found.notes == ()


def test_equal_answers_raise_nothing(row: Build) -> None:
    """Recorded ones are equal by nature, and that is said."""
    rows = [row(step=step, id=str(n), finish_reason="recorded") for step in ("s", "s2") for n in range(3)]
    found = diagnosis(rows)
    assert found.raised == ()
    assert found.notes == ("Recorded answers are the same whenever they are read: this says nothing of the model.",)
    assert found.metrics["other_texts"] == 0.0


def test_what_one_side_lacks_is_no_pair(row: Build) -> None:
    """A void answer, or an item of one side alone."""
    rows = [row(id="a"), row(id="b"), row(step="s2", id="a", outcome="void", text=None), row(step="s2", id="c")]
    found = diagnosis(rows)
    assert found.metrics["answers"] == 0.0
    assert found.metrics["difference"] is None
    assert found.notes == ("There is no answer of which both are known.",)
