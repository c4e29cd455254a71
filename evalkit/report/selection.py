"""Best-of-N in numbers: what the selector picked, and what other ways of picking give over the same candidates.

All candidates count, also those that were not picked. The candidates to an item come one after the other, so of texts
and answers no more is held than those of one item.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, field

from evalkit.core.errors import DataError
from evalkit.core.types import Choice, SampleRow
from evalkit.report.breakdown import rate
from evalkit.report.results import SelectionUse
from evalkit.stats.bestofn import random_pick_p
from evalkit.stats.paired import sign_flip_p
from evalkit.stats.passk import pass_at_k

ORACLE = "oracle"
"""What the selector `tests` is called wherever a number of it stands: no policy can know the verdict."""
ROUTE = "route"
"""The selector of answers whose item went on to another model."""
_AGAIN = "run the command of this run again: what is in the store is not asked a second time"
_Key = tuple[str, str, str]


def selector_name(by: str) -> str:
    """A selector's name in print."""
    return ORACLE if by == "tests" else by


class _Candidate(Struct, frozen=True):
    """What is kept of a candidate until its item is complete."""

    selected: bool
    characters: int | None
    text: str | None
    answer: str | None
    score: float | None
    logprob: float | None
    reward: float | None
    choice: Choice | None


class _Item(Struct, frozen=True):
    """What the candidates to one item add up to. `picks` are the scores by way of picking."""

    by: str
    candidates: int
    scores: tuple[float, ...]
    place: int | None
    picks: dict[str, float]
    verdicts: bool
    identical: bool
    tied: bool
    without_value: bool


class SelectionTally(Struct):
    """Takes the rows of one category of a step, in their order."""

    key: _Key | None = None
    open: list[_Candidate] = field(default_factory=list)
    verdicts: bool = True
    items: dict[_Key, _Item] = field(default_factory=dict)
    lost: dict[_Key, None] = field(default_factory=dict)
    """Items of which nothing was picked: no candidate came, or the judge did not answer."""

    def add(self, row: SampleRow) -> None:
        """Raises DataError where not exactly one of an item's candidates is selected. What a route did not keep,
        because another model was asked, was a candidate of nothing."""
        if row.choice is not None and row.choice.by == ROUTE:
            return
        key = (row.task, row.split, row.id)
        if key != self.key:
            self.close()
            self.key = key
        if row.outcome not in ("pass", "fail", "void"):
            self.verdicts = False
        self.open.append(
            _Candidate(
                selected=row.selected,
                characters=None if row.text is None else len(row.text),
                text=row.text_sha256,
                answer=row.answer,
                score=row.score,
                logprob=row.mean_logprob,
                reward=row.reward,
                choice=row.choice,
            )
        )

    def close(self) -> None:
        """The candidates to the last item are all there."""
        some, self.open = self.open, []
        choices = [one.choice for one in some if one.choice is not None]
        if self.key is not None and choices:
            self.items[self.key] = _item(self.key, some, choices[0], self.verdicts)
        elif self.key is not None and len(some) > 1 and sum(one.selected for one in some) == 1:
            self.lost[self.key] = None
        self.key, self.verdicts = None, True


def measure(tallies: Iterable[SelectionTally]) -> SelectionUse | None:
    """The categories of a step as one; None where none has candidates to pick from. An item in two categories counts
    once, as the first of them has it."""
    items: dict[_Key, _Item] = {}
    lost: dict[_Key, None] = {}
    for tally in tallies:
        tally.close()
        items = tally.items | items
        lost |= tally.lost
    return _use(list(items.values()), len(lost.keys() - items.keys())) if items else None


def _use(items: Sequence[_Item], lost: int) -> SelectionUse:
    judged = [item for item in items if item.place is not None]
    names = [name for name in _PICKS if judged and all(name in item.picks for item in judged)]
    rates = {name: rate([item.picks[name] for item in judged]) for name in names}
    gains = math.fsum(item.picks["selected"] - item.picks["mean"] for item in judged)
    room = math.fsum(item.picks["oracle"] - item.picks["mean"] for item in judged)
    mixed = sum(_mixed(item) for item in judged)
    by = dict.fromkeys(item.by for item in items)
    return SelectionUse(
        by=", ".join(selector_name(one) for one in by),
        oracle="tests" in by,
        candidates=max(item.candidates for item in items),
        items=len(judged),
        left_out=lost + len(items) - len(judged),
        rates=rates,
        pass_at_k=_passes(judged),
        efficiency=gains / room if mixed else None,
        p=_p(judged) if mixed else None,
        mixed=mixed,
        identical=sum(item.identical for item in judged),
        tied=sum(item.tied for item in judged),
        without_value=sum(item.without_value for item in judged),
    )


def _mixed(item: _Item) -> bool:
    return min(item.scores) < max(item.scores)


def _p(items: Sequence[_Item]) -> float | None:
    """How surprising the picks are for a random pick: exact for verdicts, by flips of signs for shares."""
    if all(item.verdicts for item in items):
        places = [item.place for item in items if item.place is not None]
        return random_pick_p([[score == 1.0 for score in item.scores] for item in items], places)
    return sign_flip_p([item.picks["selected"] - item.picks["mean"] for item in items])


def _passes(items: Sequence[_Item]) -> dict[str, float]:
    """pass@k over all candidates: 1, 2, 4, ... and as many as every item has."""
    if not items or not all(item.verdicts for item in items):
        return {}
    most = min(len(item.scores) for item in items)
    ks = [2**power for power in range(most.bit_length()) if 2**power < most] + [most]
    counts = [(len(item.scores), round(math.fsum(item.scores))) for item in items]
    return {str(k): math.fsum(pass_at_k(n, c, k) for n, c in counts) / len(counts) for k in ks}


def _item(key: _Key, some: Sequence[_Candidate], choice: Choice, verdicts: bool) -> _Item:
    selected = [one for one in some if one.selected]
    if len(selected) != 1:
        raise DataError(
            f"{len(selected)} of {len(some)} candidates of item '{key[2]}' are selected, not one", hint=_AGAIN
        )
    judged = [one for one in some if one.score is not None]
    place = next((place for place, one in enumerate(judged) if one.selected), None)
    known = [one for one in some if one.text is not None]
    return _Item(
        by=choice.by,
        candidates=len(some),
        scores=tuple(_score(one) for one in judged),
        place=place,
        picks={} if place is None else _picks(judged, place),
        verdicts=verdicts,
        identical=len(known) > 1 and len({one.text for one in known}) == 1,
        tied=choice.best > 1,
        without_value=any(_value(one) is None for one in known),
    )


def _score(one: _Candidate) -> float:
    assert one.score is not None  # only judged ones are asked
    return one.score


def _value(one: _Candidate) -> float | None:
    return one.choice.value if one.choice is not None else None


_Judged = Sequence[_Candidate]


def _highest(value: Callable[[_Candidate], float | None], sign: float = 1.0) -> Callable[[_Judged], float | None]:
    """The score of the candidate with the highest value, the first of them; None where a value is not known."""

    def pick(judged: _Judged) -> float | None:
        values = [value(one) for one in judged]
        known = [sign * one for one in values if one is not None]
        return _score(judged[known.index(max(known))]) if len(known) == len(values) else None

    return pick


def _majority(judged: _Judged) -> float | None:
    """The first candidate whose answer is the most frequent one; where none has an answer, the first."""
    votes = Counter(one.answer for one in judged if one.answer is not None)
    return _score(max(judged, key=lambda one: 0 if one.answer is None else votes[one.answer]))


def _length(one: _Candidate) -> float | None:
    return None if one.characters is None else float(one.characters)


_PICKS: dict[str, Callable[[_Judged], float | None]] = {
    "mean": lambda judged: math.fsum(_score(one) for one in judged) / len(judged),
    "first": lambda judged: _score(judged[0]),
    "selected": lambda judged: None,  # the run's own pick, which is no rule over the others
    "lowest_value": _highest(_value, -1.0),
    "majority": _majority,
    "shortest": _highest(_length, -1.0),
    "longest": _highest(_length),
    "logprob": _highest(lambda one: one.logprob),
    "reward": _highest(lambda one: one.reward),
    "worst": lambda judged: min(_score(one) for one in judged),
    "oracle": lambda judged: max(_score(one) for one in judged),
}


def _picks(judged: _Judged, place: int) -> dict[str, float]:
    found = {name: pick(judged) for name, pick in _PICKS.items()} | {"selected": _score(judged[place])}
    return {name: score for name, score in found.items() if score is not None}
