"""What can be said of an expectation before the run: with so many items, what can be shown at all?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evalkit.core.expectation import ALL, OF_A_SCORE, Condition
from evalkit.plan.needs import needs
from evalkit.plan.planned import Foreseen
from evalkit.spec.model import Step
from evalkit.stats.intervals import wilson
from evalkit.stats.paired import fewest_flips, newcombe_difference, pairs_needed, smallest_visible_difference
from evalkit.steps.bench import Arm, Bench

_Item = tuple[str, str, str]


def foreseen(step: Step, benches: Mapping[str, Sequence[Bench]]) -> tuple[Foreseen, ...]:
    """One for each expectation of a step that n items make hard or impossible; `benches` are those of the plan."""
    found = (_foreseen(one, _sides(step, benches, one.category)) for one in step.expect)
    return tuple(one for one in found if one is not None)


def _sides(step: Step, benches: Mapping[str, Sequence[Bench]], category: str) -> list[list[Arm]]:
    """The arms that a claim is about: of a bench its own, of a comparison or a judge those of both steps."""
    names = list(needs(step)) or [step.name]
    return [[arm for bench in benches[name] for arm in bench.arms if category in (ALL, arm.category)] for name in names]


def _items(arms: list[Arm]) -> set[_Item]:
    return {(arm.task, arm.split, sample.id) for arm in arms for sample in arm.samples}


def _foreseen(condition: Condition, sides: list[list[Arm]]) -> Foreseen | None:
    if condition.claim in OF_A_SCORE:
        n = len(_items(sides[-1]))
        return None if n and _score_can(condition, n) else Foreseen(condition.category, condition.words, n, False)
    n = len(set.intersection(*map(_items, sides)))
    once = all(arm.policy.select is not None or arm.policy.samples == 1 for arms in sides for arm in arms)
    if condition.claim == "no_worse_than":
        needed = pairs_needed(condition.wanted or 0.0)
        likely = Foreseen(condition.category, condition.words, n, n > 0, pairs_needed=needed)
        return None if n >= needed else likely
    return Foreseen(
        category=condition.category,
        expected=condition.words,
        items=n,
        possible=_difference_can(condition, n),
        flips=fewest_flips(),
        visible=smallest_visible_difference(n) if n and once else None,
    )


def _score_can(condition: Condition, n: int) -> bool:
    """Whether the interval of the best outcome is on the right side."""
    best = wilson(n if condition.claim == "at_least" else 0, n)
    assert best is not None  # there are items
    wanted = condition.wanted or 0.0
    return best.low >= wanted if condition.claim == "at_least" else best.high <= wanted


def _difference_can(condition: Condition, n: int) -> bool:
    if n < fewest_flips():
        return False
    best = newcombe_difference(0, n, 0, 0)
    assert best is not None  # there are items
    return best.interval.low >= (condition.wanted or 0.0)
