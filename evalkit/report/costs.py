"""What passes cost: of each step and category, and of one more pass where two steps ask the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from evalkit.core.runfolder import Lock
from evalkit.report.results import ExtraPass, Measure, PerPass, StepResults

Asked = frozenset[tuple[str, str, str]]


class CostLine(Struct, frozen=True, kw_only=True):
    """What one category of a step cost, or all of it (`category` empty)."""

    step: str
    category: str
    answers: int
    prompt_tokens: int | None
    tokens: int | None
    seconds: float | None
    sandbox: float | None
    usd: float | None
    per_pass: PerPass


def lines(steps: Mapping[str, StepResults]) -> tuple[CostLine, ...]:
    """A line a category, and one for each step as a whole where it has several. Nothing where no step judges."""
    if not any(step.all.metrics.pass_at_1.n for step in steps.values()):
        return ()
    found = []
    for name, step in steps.items():
        if len(step.order) > 1:
            found += [_line(name, category, step.categories[category]) for category in step.order]
        found.append(_line(name, "", step.all))
    return tuple(found)


def _line(step: str, category: str, measure: Measure) -> CostLine:
    metrics = measure.metrics
    usd, seconds, tokens = totals(measure)
    return CostLine(
        step=step,
        category=category,
        answers=metrics.answers.candidates,
        prompt_tokens=metrics.tokens.prompt,
        tokens=None if tokens is None else round(tokens),
        seconds=seconds,
        sandbox=metrics.seconds.sandbox,
        usd=usd,
        per_pass=metrics.per_pass,
    )


def extra_passes(lock: Lock, steps: Mapping[str, StepResults]) -> tuple[ExtraPass, ...]:
    """Each later step beside the first one that asks the same items."""
    return tuple(_pairs(lock, steps))


def asked(lock: Lock, step: str) -> Asked:
    """The items of a step by task, split and id."""
    return frozenset((task.task, task.split, item) for task in lock.tasks if task.step == step for item in task.items)


def _pairs(lock: Lock, steps: Mapping[str, StepResults]) -> Iterator[ExtraPass]:
    before: dict[Asked, str] = {}
    for name, step in steps.items():
        items = asked(lock, name)
        first = before.setdefault(items, name)
        whole = all(one.all.metrics.pass_at_1.n == len(items) for one in (steps[first], step))
        if items and first != name and whole:  # else a void item of one step would be a pass of the other
            yield _extra((first, steps[first].all), (name, step.all), len(items))


def _extra(first: tuple[str, Measure], second: tuple[str, Measure], items: int) -> ExtraPass:
    passes = second[1].metrics.per_pass.passes - first[1].metrics.per_pass.passes
    amounts = zip(totals(first[1]), totals(second[1]), strict=True)
    usd, seconds, tokens = (_each(one, other, passes) for one, other in amounts)
    return ExtraPass(
        first=first[0], second=second[0], items=items, passes=passes, usd=usd, seconds=seconds, tokens=tokens
    )


def _each(one: float | None, other: float | None, passes: float) -> float | None:
    return None if one is None or other is None or passes <= 0.0 else (other - one) / passes


def totals(measure: Measure) -> tuple[float | None, float | None, float | None]:
    """USD, seconds of the models (a judge's too) and answer tokens of all candidates."""
    metrics = measure.metrics
    seconds = metrics.seconds
    known = [one for one in (seconds.generation, seconds.weighing) if one is not None]
    complete = len(known) == metrics.generated + bool(metrics.answers.weighed)
    if metrics.judging is not None:
        complete = complete and metrics.judging.seconds is not None
        known.append(metrics.judging.seconds or 0.0)
    return metrics.usd, (sum(known) if complete else None), metrics.tokens.completion
