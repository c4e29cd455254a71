"""Expectations: what confirms one, what refutes it, and what leaves it open."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from evalkit.core.expectation import Claim, Condition, Expected, Judgement
from evalkit.core.runfolder import DiagnosisLock, Lock, PairingLock, RunRecord
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.report.collect import collect
from evalkit.report.expected import judge, printed
from evalkit.report.results import Expectation, StepResults
from evalkit.stats.intervals import Interval
from evalkit.steps.diagnoses.contrast import Contrast
from evalkit.steps.diagnoses.duel import Duel

Build = Callable[..., SampleRow]
COMPARED = DiagnosisLock(step="verdict", diagnosis="compare", reads={"before": "one", "after": "three"})


def found(
    claim: Claim, wanted: float | None, contrast: Contrast, category: str = "all", step: str = "verdict"
) -> Expectation:
    lock = Lock(diagnoses=(COMPARED,), expectations=(Expected(step, Condition(category, claim, wanted)),))
    [one] = judge(lock, {}, {"verdict": {"": contrast}})
    return one


def difference(low: float, high: float, p: float = 0.01) -> Contrast:
    return Contrast(50, 0.5, 0.5, (low + high) / 2, Interval(low, high), Interval(low + 0.01, high - 0.01), p)


@pytest.mark.parametrize(
    ("wanted", "category", "expected"),
    [(0.5, "all", "confirmed"), (0.5, "c", "confirmed"), (0.8, "all", "inconclusive"), (0.95, "all", "refuted")],
)
def test_a_claim_about_verdicts(
    wanted: float, category: str, expected: Judgement, verdict: Callable[..., VerdictRow]
) -> None:
    """16 of 20 pairs won: 58.4 to 91.9 %."""
    duel = Duel(PairingLock(step="duel", player="p", opponent="o", judges=()))
    for n in range(20):
        duel.hear(verdict("win" if n < 16 else "loss", id=f"i{n}"))
    lock = Lock(expectations=(Expected("duel", Condition(category, "at_least", wanted)),))
    [one] = judge(lock, {}, {}, {"duel": duel})
    assert (0.8, expected) == (one.found, one.judgement)
    unknown = Lock(expectations=(Expected("duel", Condition("other", "at_least", wanted)),))
    assert "inconclusive" == judge(unknown, {}, {}, {"duel": duel})[0].judgement


@pytest.mark.parametrize(
    ("claim", "wanted", "contrast", "expected"),
    [
        ("improves", None, difference(0.01, 0.2), "confirmed"),
        ("improves", None, difference(0.01, 0.2, p=0.06), "inconclusive"),  # the p is the test
        ("improves", None, difference(0.0, 0.2), "inconclusive"),
        ("improves", None, difference(-0.1, 0.2, p=0.5), "inconclusive"),
        ("improves", None, difference(-0.2, 0.0), "refuted"),
        ("improves", None, difference(-0.2, -0.01, p=0.06), "refuted"),  # no gain is left, whether or not it fell
        ("worsens", None, difference(-0.2, -0.01), "confirmed"),
        ("worsens", None, difference(-0.2, -0.01, p=0.06), "inconclusive"),
        ("worsens", None, difference(-0.2, 0.1), "inconclusive"),
        ("worsens", None, difference(0.0, 0.1), "refuted"),
        ("better_by", 0.1, difference(0.1, 0.3), "confirmed"),
        ("better_by", 0.1, difference(0.1, 0.3, p=0.06), "inconclusive"),
        ("better_by", 0.1, difference(0.05, 0.3), "inconclusive"),
        ("better_by", 0.1, difference(0.01, 0.09), "refuted"),
        ("no_worse_than", 0.03, difference(-0.039, 0.2, p=0.5), "confirmed"),  # one-sided: -0.029
        ("no_worse_than", 0.03, difference(-0.04, 0.2, p=0.5), "inconclusive"),  # the bound is the margin itself
        ("no_worse_than", 0.03, difference(-0.2, -0.021), "refuted"),  # one-sided: -0.031
        ("no_worse_than", 0.03, difference(-0.2, -0.02), "inconclusive"),
    ],
)
def test_a_claim_about_a_difference(
    claim: Claim, wanted: float | None, contrast: Contrast, expected: Judgement
) -> None:
    """By the interval; a gain or a loss needs the p as well."""
    one = found(claim, wanted, contrast)
    assert one.judgement == expected
    assert (one.found, one.interval, one.p) == (contrast.difference, contrast.interval, contrast.p)


def test_a_difference_that_nothing_measured() -> None:
    """Inconclusive, and never a number."""
    for contrast, category in ((Contrast(0), "all"), (difference(0.1, 0.2), "other")):
        one = found("improves", None, contrast, category)
        assert (one.judgement, one.found, one.reason) == ("inconclusive", None, "no item is scored in both steps")


def steps(row: Build, passed: int, failed: int) -> dict[str, StepResults]:
    outcomes = ["pass"] * passed + ["fail"] * failed
    rows = [row(step="three", id=str(index), outcome=one) for index, one in enumerate(outcomes)]
    return collect(rows, RunRecord(id="r", state="complete")).steps


@pytest.mark.parametrize(
    ("claim", "wanted", "expected"),
    [
        ("at_least", 0.54, "confirmed"),  # Wilson of 14 in 18: 54.79 to 91.00 %
        ("at_least", 0.55, "inconclusive"),
        ("at_least", 0.90, "inconclusive"),
        ("at_least", 0.92, "refuted"),
        ("at_most", 0.92, "confirmed"),
        ("at_most", 0.55, "inconclusive"),
        ("at_most", 0.54, "refuted"),
    ],
)
def test_a_claim_about_a_score(row: Build, claim: Claim, wanted: float, expected: Judgement) -> None:
    """The interval lies wholly on one side; of a comparison it is the later step's score."""
    conditions = [Condition("c", claim, wanted), Condition("all", claim, wanted)]
    lock = Lock(
        diagnoses=(COMPARED,),
        expectations=tuple(Expected(step, one) for step in ("three", "verdict") for one in conditions),
    )
    judged = judge(lock, steps(row, 14, 4), {"verdict": {}})
    assert [one.judgement for one in judged] == [expected] * 4
    assert [(one.step, one.category) for one in judged] == [
        ("three", "c"), ("three", "all"), ("verdict", "c"), ("verdict", "all"),
    ]  # fmt: skip
    assert judged[0].found == pytest.approx(14 / 18)
    assert judged[0].p is None


def test_a_score_that_nothing_measured(row: Build) -> None:
    """A step that did not run, a category without a scored item."""
    lock = Lock(expectations=(Expected("s", Condition("all", "at_least", 0.5)),))
    results = collect([row(outcome="void")], RunRecord(id="r", state="complete")).steps
    for known in ({}, results):
        [one] = judge(lock, known, {})
        assert (one.judgement, one.found, one.reason) == ("inconclusive", None, "no item could be scored")


def test_in_print() -> None:
    """Differences in points, scores in per cent, the condition as in the spec."""
    assert printed(found("improves", None, difference(-0.1, 0.2))) == (
        "improves: true",
        "5.0 points",
        "-10.0 to 20.0 points",
    )
    lock = Lock(expectations=(Expected("s", Condition("c", "at_least", 0.5)),))
    [one] = judge(lock, {}, {})
    assert printed(one) == ("at_least: 0.5", "–", "–")


def test_the_lock_keeps_them() -> None:
    """A report made again judges the same."""
    lock = Lock(
        expectations=(Expected("s", Condition("c", "at_least", 0.5)), Expected("s", Condition("c", "improves")))
    )
    assert msgspec.json.decode(msgspec.json.encode(lock), type=Lock) == lock
