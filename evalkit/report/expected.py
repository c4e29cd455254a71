"""What the spec expected of its steps, and what was found: confirmed, refuted or inconclusive, by interval alone.

A claim about a score (of a `judge` step too) is judged by the score's 95 % interval, one about a difference by that of
the paired difference (`docs/compare.md` has the rules). What an interval leaves open is inconclusive, never half true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evalkit.core.expectation import ALL, OF_A_SCORE, Claim, Condition, Expected, Judgement
from evalkit.core.runfolder import Lock
from evalkit.report import numbers
from evalkit.report.results import Expectation, Measure, StepResults
from evalkit.stats.intervals import Interval
from evalkit.steps.diagnoses.compare import LEVEL
from evalkit.steps.diagnoses.contrast import Contrast
from evalkit.steps.diagnoses.duel import Duel
from evalkit.steps.diagnoses.facts import WHOLE

Contrasts = Mapping[str, Mapping[str, Contrast]]
_Scored = tuple[float, tuple[float, float]]
"""A score and its interval."""


def judge(
    lock: Lock, steps: Mapping[str, StepResults], contrasts: Contrasts, duels: Mapping[str, Duel] | None = None
) -> tuple[Expectation, ...]:
    """Every expectation of the lock, in the order of the spec. `contrasts` are those of comparisons, by category,
    `duels` what judges said of pairs."""
    later = {one.step: one.reads["after"] for one in lock.diagnoses if one.diagnosis == "compare"}
    found = []
    for one in lock.expectations:
        if one.condition.claim in OF_A_SCORE:
            duel = (duels or {}).get(one.step)
            step = steps.get(later.get(one.step, one.step))
            category = one.condition.category
            found.append(_of_score(one, _measured(step, category) if duel is None else _preferred(duel, category)))
        else:
            category = WHOLE if one.condition.category == ALL else one.condition.category
            contrast = contrasts.get(one.step, {}).get(category)
            found.append(_of_difference(one, contrast if contrast is not None else Contrast(0)))
    return tuple(found)


def _measured(step: StepResults | None, category: str) -> _Scored | None:
    if step is None:
        return None
    measure: Measure | None = step.all if category == ALL else step.categories.get(category)
    if measure is None or measure.score is None or measure.interval is None:
        return None
    return measure.score, measure.interval


def _preferred(duel: Duel, category: str) -> _Scored | None:
    """What the verdicts of a judge step are worth."""
    found = duel.found()
    standing = found.overall.pooled if category == ALL else found.categories.get(category)
    if standing is None or standing.score is None:
        return None
    return standing.score.value, (standing.score.interval.low, standing.score.interval.high)


def _of_score(one: Expected, found: _Scored | None) -> Expectation:
    if found is None:
        return _expectation(one, None, None, None, ("inconclusive", "no item could be scored"))
    score, interval = found
    return _expectation(one, score, interval, None, _score_judged(one.condition, Interval(*interval)))


def _score_judged(condition: Condition, interval: Interval) -> tuple[Judgement, str]:
    wanted = condition.wanted or 0.0
    bound = numbers.pct(wanted)
    if interval.low >= wanted and condition.claim == "at_least":
        return "confirmed", f"the whole interval is at least {bound}"
    if interval.high < wanted and condition.claim == "at_least":
        return "refuted", f"the whole interval is below {bound}"
    if interval.high <= wanted and condition.claim == "at_most":
        return "confirmed", f"the whole interval is at most {bound}"
    if interval.low > wanted and condition.claim == "at_most":
        return "refuted", f"the whole interval is above {bound}"
    return "inconclusive", f"the interval lies on both sides of {bound}"


_Judge = Callable[[Condition, Interval, Interval, float], tuple[Judgement, str]]


def _of_difference(one: Expected, contrast: Contrast) -> Expectation:
    if contrast.interval is None or contrast.one_sided is None or contrast.p is None:
        return _expectation(one, None, None, None, ("inconclusive", "no item is scored in both steps"))
    judged = _JUDGES[one.condition.claim](one.condition, contrast.interval, contrast.one_sided, contrast.p)
    return _expectation(one, contrast.difference, contrast.interval, contrast.p, judged)


def _improves(condition: Condition, interval: Interval, one_sided: Interval, p: float) -> tuple[Judgement, str]:
    """The same for `worsens`, seen from the other side."""
    low, high = interval
    if condition.claim == "worsens":
        low, high = -high, -low
    word, other = ("gain", "loss") if condition.claim == "improves" else ("loss", "gain")
    if low > 0.0 and p < LEVEL:
        return "confirmed", f"the whole interval is a {word}, and p is below {LEVEL}"
    if high <= 0.0:
        return "refuted", f"the interval holds no {word}"
    if low > 0.0:
        return "inconclusive", f"the interval holds only a {word}, but p is not below {LEVEL}"
    return "inconclusive", f"the interval holds both a {word} and a {other} or no difference"


def _better_by(condition: Condition, interval: Interval, one_sided: Interval, p: float) -> tuple[Judgement, str]:
    wanted = condition.wanted or 0.0
    if interval.low >= wanted and p < LEVEL:
        return "confirmed", f"the whole interval is at least {numbers.points(wanted)}"
    if interval.high < wanted:
        return "refuted", f"the whole interval is below {numbers.points(wanted)}"
    return "inconclusive", f"the interval holds less than {numbers.points(wanted)} and not only less"


def _no_worse_than(condition: Condition, interval: Interval, one_sided: Interval, p: float) -> tuple[Judgement, str]:
    """Non-inferiority: by one-sided bounds of 95 %, for the claim has one side."""
    margin = condition.wanted or 0.0
    told = f"the one-sided 95 % bound is {numbers.points(one_sided.low)}"
    if one_sided.low > -margin:
        return "confirmed", f"{told}, above {numbers.points(-margin)}"
    if one_sided.high < -margin:
        high = numbers.points(one_sided.high)
        return "refuted", f"even the upper one-sided 95 % bound, {high}, is below {numbers.points(-margin)}"
    return "inconclusive", f"{told}, not above {numbers.points(-margin)}"


_JUDGES: Mapping[Claim, _Judge] = {
    "improves": _improves,
    "worsens": _improves,
    "better_by": _better_by,
    "no_worse_than": _no_worse_than,
}


def _expectation(
    one: Expected,
    found: float | None,
    interval: tuple[float, float] | None,
    p: float | None,
    judged: tuple[Judgement, str],
) -> Expectation:
    judgement, reason = judged
    return Expectation(
        step=one.step,
        category=one.condition.category,
        condition=one.condition.claim,
        wanted=one.condition.wanted,
        found=found,
        interval=interval,
        p=p,
        judgement=judgement,
        reason=reason,
    )


def printed(one: Expectation) -> tuple[str, str, str]:
    """What was expected, what was found, and its interval, in print: a score or a difference by the claim."""
    words = Condition(one.category, one.condition, one.wanted).words
    if one.condition in OF_A_SCORE:
        return words, numbers.pct(one.found), numbers.interval(one.interval)
    return words, numbers.points(one.found), numbers.points_range(one.interval)
