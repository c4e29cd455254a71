"""The sentences of a report: what was found, what makes it doubtful, what it does not say.

Each sentence is written by a rule from the numbers alone. The words "better" and "improved" need a comparison, so they
are not used here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.report import numbers
from evalkit.report.breakdown import by_field, printed
from evalkit.report.excerpts import StepExcerpts
from evalkit.report.results import CategoryMeasure, LimitUse, Measure, StepResults
from evalkit.report.tallies import NEAR
from evalkit.report.text import cell

_WIDE = 0.2
_UNEVEN = 0.02
_NOTABLE_NO_ANSWER = 0.05
_NEAR = f"{100 * NEAR:.0f} %"
_FLIPS = 6
"""With fewer one-way flips than six, the exact McNemar test cannot give p < 0.05: 2 · (1/2)^5 = 0.0625."""


def sentence(step: StepResults) -> str:
    """The finding in one sentence, by the measure that fits the scores."""
    total = step.all
    if total.score is None and total.unscored:
        collected = numbers.plural(total.metrics.answers.unscored, "answer")
        return f"**{cell(step.model)}** has no score: {collected} collected, {numbers.NOT_SCORED}. {_voids(total)}"
    if total.score is None:
        return f"**{cell(step.model)}** has no score: none of {numbers.plural(total.n, 'item')} could be scored."
    score = f"{numbers.pct(total.score)} (95 % interval {numbers.interval(total.interval)})"
    if total.metrics.pass_at_1.n == total.metrics.answers.scored:  # each item answered once, passed or not
        solved = numbers.of(total.metrics.answers.passed, total.scored)
        return f"**{cell(step.model)}** solved {solved} items: {score}. {_voids(total)}{_unscored(total)}"
    over = numbers.plural(total.scored, "item")
    return f"**{cell(step.model)}** scored {score} on average over {over}. {_voids(total)}{_unscored(total)}"


def _unscored(measure: Measure) -> str:
    items = numbers.plural(measure.unscored, "item")
    return f" Beside these, {items} collected and {numbers.NOT_SCORED}." if measure.unscored else ""


def _voids(measure: Measure) -> str:
    void = measure.metrics.answers.void
    if void == 0:
        return "Nothing is void."
    return f"{numbers.plural(void, 'answer')} could not be measured: void, not counted."


def cautions(step: StepResults) -> list[str]:
    """What a careful reader must know before quoting the numbers of a step."""
    return [*_wide(step), *_extremes(step), *_uneven(step), *_truncated(step.all), *_no_answer(step.all)]


def _wide(step: StepResults) -> Iterator[str]:
    wide = [
        f"{cell(name)} ({numbers.interval(category.interval)} from {numbers.plural(category.scored, 'item')})"
        for name, category in _categories(step)
        if category.interval and category.interval[1] - category.interval[0] > _WIDE
    ]
    if wide:
        yield f"Wide intervals, too wide to rank anything by: {'; '.join(wide)}."


def _extremes(step: StepResults) -> Iterator[str]:
    for name, category in _categories(step):
        if category.interval is None or category.score not in (0.0, 1.0):
            continue
        low, high = category.interval
        if category.score == 0.0:
            yield (
                f"Nothing in {cell(name)} was solved. The true rate may still be up to {numbers.pct(high)}, "
                "and a loss of ability cannot show here."
            )
        else:
            yield (
                f"Everything in {cell(name)} was solved. The true rate may still be as low as {numbers.pct(low)}, "
                "and a gain cannot show here."
            )


def _uneven(step: StepResults) -> Iterator[str]:
    micro, macro = step.all.score, step.macro.score
    if micro is not None and macro is not None and abs(micro - macro) >= _UNEVEN:
        yield (
            f"The categories differ in size: {numbers.pct(micro)} counts each item alike, {numbers.pct(macro)} each "
            "category alike. Say which of the two you quote."
        )


def _truncated(total: Measure) -> Iterator[str]:
    metrics = total.metrics
    if not metrics.truncated:
        return
    answered = metrics.answers.scored + metrics.answers.unscored
    said = f"Cut off at `max_tokens`: {numbers.of(metrics.truncated, answered)} answers "
    said += f"({numbers.pct(numbers.per(metrics.truncated, answered))})"
    said += f", of which {numbers.count(metrics.truncated_failed)} failed." if metrics.answers.scored else "."
    if total.score is not None and metrics.truncated_failed and metrics.answers.scored == total.scored:
        most = total.score + metrics.truncated_failed / total.scored
        said += f" With room to finish, the score could be anything up to {numbers.pct(most)}."
    yield said


def _no_answer(total: Measure) -> Iterator[str]:
    missing, scored = total.metrics.no_answer, total.metrics.answers.scored
    if scored and missing / scored >= _NOTABLE_NO_ANSWER:
        yield (
            f"In {numbers.of(missing, scored)} answers ({numbers.pct(missing / scored)}) no answer could be found, and "
            "they count as failed. Read some of them: a model that ignores the format is not one that cannot solve."
        )


def time_limits(total: Measure) -> str:
    """Whether the time limits, not only the programs, decided verdicts. Empty where no program was judged."""
    use = total.metrics.limits
    if not use.programs:
        return ""
    if not use.near:
        return f"No program came near a time limit: all used less than {_NEAR} of each."
    share = numbers.pct(use.near / use.programs)
    said = f"{numbers.of(use.near, use.programs)} programs ({share}) used {_NEAR} or more of a time limit"
    these = "this one" if use.near == 1 else "these"
    return f"{said}{_ends(use)}. The limits, not only the programs, may have decided {these}."


def _ends(use: LimitUse) -> str:
    ends = [(use.timeouts, "timed out"), (use.passed, "passed")]
    for number, end in ends:
        if number == use.near:
            return f" and {end}" if number == 1 else f"; all of them {end}"
    known = [f"{numbers.count(number)} {end}" for number, end in ends if number]
    return f"; of these {' and '.join(known)}" if known else ""


def broken_references(total: Measure, seen: StepExcerpts) -> str:
    """Which items' own solutions do not pass their own tests, so that their time limits nothing."""
    count = total.metrics.limits.broken_references
    if not count:
        return ""
    named = [f"{cell(item)} ({cell(outcome)})" for (_, item), outcome in seen.references.items()]
    more = f" and {numbers.count(count - len(named))} more" if count > len(named) else ""
    return (
        f"Data worth a look: the reference program of {numbers.plural(count, 'item')} does not pass its own tests. It "
        f"limits nothing there, the declared limits hold: {', '.join(named)}{more}."
    )


def unsaid(step: StepResults, seen: StepExcerpts, compared: Sequence[str] = ()) -> list[str]:
    """Claims that the step does not support, each with the reason. `compared` are the steps it is compared with."""
    others = f"any model or setting but that of step {' or '.join(map(cell, compared))}" if compared else ""
    return [
        f"That {others or 'any other model or setting'} does better or worse: "
        f"{'nothing else' if compared else 'nothing'} was compared. {_smallest(step)}",
        *_variation(seen),
        "How the model does with another prompt wording, chat template or extraction rule: one of each was used.",
        "Whether the model met these items in training: nothing here can tell.",
        *_breakdown(step),
    ]


def _smallest(step: StepResults) -> str:
    counted = [(name, category.scored) for name, category in _categories(step) if category.scored >= _FLIPS]
    if not counted:
        return f"With fewer than {_FLIPS} items no paired comparison can reach p < 0.05."
    needed = [
        f"{numbers.points(_FLIPS / scored)} in {cell(name)} ({numbers.plural(scored, 'item')})"
        for name, scored in counted
    ]
    return (
        "Between two runs on these items, one answer each, a difference below "
        f"{_joined(needed)} cannot reach p < 0.05 (exact McNemar needs {_FLIPS} flips one way)."
    )


def _variation(seen: StepExcerpts) -> Iterator[str]:
    known = [entry.effective for entry in seen.sampling.values() if entry.effective is not None]
    if any(entry.weighed for entry in seen.sampling.values()):
        yield (
            "What the model would write where options were weighed: their log-probabilities say which one it prefers, "
            "not that it would give it as an answer."
        )
    if seen.answers_per_item > 1 or all(entry.weighed for entry in seen.sampling.values()):
        return
    if any(not sampling.greedy for sampling in known):
        yield "How much answers vary: each item was asked once, with random sampling. Another seed gives other answers."
    elif known:
        yield "How the model does when it is sampled: each item was asked once, greedily."
    else:
        yield "How the answers came about: they are recordings, their sampling parameters are not known."


def _breakdown(step: StepResults) -> Iterator[str]:
    groups = printed(by_field(step))
    if groups > 1:
        yield (
            f"That one of the {groups} groups above is special: among so many small groups some look extreme by chance."
        )


def _categories(step: StepResults) -> list[tuple[str, CategoryMeasure]]:
    return [(name, step.categories[name]) for name in step.order]


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
