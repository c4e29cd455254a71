"""Best-of-N: which of an item's candidates counts.

The selector gets the candidates as they are stored, and what it picks is a row of its own with its own verdict: what is
selected and what is judged cannot be two things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec

from evalkit.core.digest import digest
from evalkit.core.ports import Selector
from evalkit.core.selection import Candidate, Select, Valued
from evalkit.core.types import Choice, Sample
from evalkit.spec.model import Policy


class Picked(msgspec.Struct, frozen=True):
    """The place of the picked candidate among those given, and what the selector made of each of them."""

    place: int
    choices: tuple[Choice, ...]


def pick(selector: Selector, policy: Policy, sample: Sample, candidates: Sequence[Candidate]) -> Picked:
    """Pick one of the candidates; the same ones always give the same pick. Of none, nothing is picked (place 0).

    A candidate without a value comes after all that have one.
    """
    if not candidates:
        return Picked(0, ())
    select = policy.select
    assert select is not None
    seen = candidates if selector.oracle else [msgspec.structs.replace(one, score=None) for one in candidates]
    valued = selector.values(sample, seen)
    known = [one.value for one in valued if one.value is not None]
    highest = max(known, default=None)
    best = [place for place, one in enumerate(valued) if one.value == highest]
    place = best[_break_tie(select, policy, sample, [candidates[place] for place in best])]
    return Picked(place, tuple(_choice(select, one, valued, len(best)) for one in valued))


def _choice(select: Select, one: Valued, valued: Sequence[Valued], best: int) -> Choice:
    above = sum(_above(other.value, one.value) for other in valued)
    return Choice(select.by, one.value, above + 1, best, one.criteria, one.reason)


def _above(other: float | None, value: float | None) -> bool:
    return other is not None and (value is None or other > value)


def _break_tie(select: Select, policy: Policy, sample: Sample, tied: Sequence[Candidate]) -> int:
    if len(tied) == 1:
        return 0
    if select.by == "random" or select.on_tie == "random":
        return Random(digest([policy.seed, sample.task, sample.split, sample.id])).randrange(len(tied))
    length: dict[str, Callable[[int], float]] = {
        "first": lambda place: 0.0,
        "shortest": lambda place: len(tied[place].completion.text),
        "longest": lambda place: -len(tied[place].completion.text),
    }
    return min(range(len(tied)), key=length[select.on_tie])
