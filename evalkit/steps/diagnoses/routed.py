"""What a route did with each item, from rows: the answers that count, those that were given up, and their costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses.paid import Cost, sum_of
from evalkit.steps.routing import BY

FATES = {
    "helped": "sent on, and the second model's score is higher",
    "wasted": "sent on, and both solve it: it was not needed",
    "vain": "sent on, and the score is the same, below full: it did not help",
    "harmed": "sent on, and the second model's score is lower",
    "kept_right": "kept, and solved",
    "kept_wrong": "kept, and not solved",
    "missed": "of these, the second model alone has a higher score",
}

Item = tuple[str, str, str]


class Answered(Struct):
    """What a step has of one item: scores that count, those that would have counted, what each model cost."""

    kept: list[float] = field(default_factory=list)
    given_up: list[float] = field(default_factory=list)
    sent: bool = False
    counts: str = ""
    costs: dict[str, Cost] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.costs.setdefault(row.model, Cost()).add(row)
        if row.choice is not None and row.choice.by == BY:
            self.sent = True
            if row.choice.rank == 1 and row.score is not None:
                self.given_up.append(row.score)
        elif row.selected:
            self.counts = row.model
            if row.score is not None:
                self.kept.append(row.score)

    @property
    def cost(self) -> Cost:
        return sum_of(self.costs.values())


class Routed(Struct):
    """What a step has of every item, and the models that answered in the order of its rows."""

    name: str
    items: dict[Item, Answered] = field(default_factory=dict)
    models: dict[str, None] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.models.setdefault(row.model)
        self.items.setdefault((row.task, row.split, row.id), Answered()).add(row)

    @property
    def escalates(self) -> bool:
        """Whether one model's answers decide, as far as rows can tell: several models and nothing sent on are rules."""
        return len(self.models) < 2 or any(one.sent for one in self.items.values())

    @property
    def scores(self) -> dict[Item, float]:
        return {item: mean_of(one.kept) for item, one in self.items.items() if one.kept}


def mean_of(scores: Sequence[float]) -> float:
    """Of one score or more."""
    return math.fsum(scores) / len(scores)


def fates(of: Routed, strong: Mapping[Item, float] | None) -> dict[str, list[Item]]:
    """How often sending on was right, and keeping, by the names of `FATES`: of items that have the scores which say so.

    `strong` are the scores of the second model alone, None where they are not known.
    """
    found: dict[str, list[Item]] = {name: [] for name in FATES if strong is not None or name != "missed"}
    for item, one in of.items.items():
        if not one.kept or (one.sent and not one.given_up):
            continue
        kept = mean_of(one.kept)
        found[_fate(one, kept)].append(item)
        if strong is not None and not one.sent and kept < 1.0 and strong.get(item, 0.0) > kept:
            found["missed"].append(item)
    return found


def _fate(one: Answered, kept: float) -> str:
    if not one.sent:
        return "kept_right" if kept == 1.0 else "kept_wrong"
    before = mean_of(one.given_up)
    if kept == before:
        return "wasted" if kept == 1.0 else "vain"
    return "helped" if kept > before else "harmed"


def ratio_of(part: float | None, whole: float | None) -> float | None:
    """None where one of them is not known, or there is nothing to divide by."""
    return None if part is None or not whole else part / whole
