"""Best-of-N beside a plain arm: the same items, their verdicts in pairs, and what the candidates were worth.

Kept of a row: whether it passed and what the selector made of it. Made only for the template that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from evalkit.core.types import SampleRow
from evalkit.report import numbers
from evalkit.report.costs import totals
from evalkit.report.results import Results, StepResults
from evalkit.report.selection import ROUTE
from evalkit.report.text import cell
from evalkit.stats.paired import fewest_flips, mcnemar_exact, newcombe_difference, smallest_visible_difference

TEMPLATE = "best_of_n"
_LINES = 40
_NAMED = 60
_ALPHA = 0.05
_Key = tuple[str, str, str]


class _Item(Struct):
    """The candidates to one item; `counting` are the verdicts of the rows that count."""

    category: str
    values: list[float | None] = field(default_factory=list)
    verdicts: list[bool | None] = field(default_factory=list)
    counting: list[bool | None] = field(default_factory=list)

    @property
    def passed(self) -> bool | None:
        return self.counting[0] if len(self.counting) == 1 else None

    @property
    def mixed(self) -> bool:
        return {True, False} <= set(self.verdicts)

    @property
    def spread(self) -> float | None:
        known = [value for value in self.values if value is not None]
        return max(known) - min(known) if known else None


class Arms:
    """Takes the rows of all steps."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[_Key, _Item]] = {}

    def add(self, row: SampleRow) -> None:
        """Take a row; of an item that two categories ask those of the first, and not what a route did not keep."""
        if row.choice is not None and row.choice.by == ROUTE:
            return
        key = (row.task, row.split, row.id)
        item = self.steps.setdefault(row.step, {}).setdefault(key, _Item(row.category))
        if item.category != row.category:
            return
        passed = {"pass": True, "fail": False}.get(row.outcome)
        item.verdicts.append(passed)
        item.values.append(row.choice.value if row.choice is not None else None)
        if row.selected:
            item.counting.append(passed)


class Names(Struct, frozen=True):
    """The first names of a list and how many there are in all."""

    shown: tuple[str, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.shown)


class Pair(Struct, frozen=True, kw_only=True):
    """A plain arm and one that picks, over the items that both judged. The difference is the second minus the first.

    `oracle`: what picks knows the verdicts, so the difference is a ceiling and no gain.
    """

    first: str
    second: str
    oracle: bool
    n: int
    both: Names
    only_first: Names
    only_second: Names
    neither: Names
    difference: float
    interval: tuple[float, float]
    p: float
    smallest: float | None
    tokens: float | None
    seconds: float | None

    @property
    def shown(self) -> bool:
        """Whether there is a difference that chance hardly makes, and that a policy can have."""
        return self.p < _ALPHA and not self.oracle

    @property
    def sentence(self) -> str:
        """What was found, by the test and not by the numbers alone."""
        low, high = numbers.points(self.interval[0]).removesuffix(" points"), numbers.points(self.interval[1])
        test = f"exact McNemar p = {numbers.p(self.p)}".replace("= <", "<")
        items = numbers.plural(self.n, "item")
        found = f"{numbers.points(self.difference)} (95 % interval {low} to {high}, {test}, {items})"
        names = f"{cell(self.second)} against {cell(self.first)}"
        if self.oracle:
            return f"A ceiling that no policy reaches, for the oracle knows the verdicts: {names}, {found}."
        if not self.shown:
            return f"No difference shown: {names}, {found}."
        word = "improved the rate of passes" if self.difference > 0 else "lowered the rate of passes"
        return f"Best-of-N {word}: {names}, {found}."


class CandidateLine(Struct, frozen=True):
    """One item: the value of each candidate with its verdict, how far the values lie apart, and the pick's verdict."""

    item: str
    candidates: tuple[tuple[str, bool | None], ...]
    spread: float | None
    passed: bool | None


class CandidateTable(Struct, frozen=True):
    """The items of a step, those that tell most first: mixed ones, then those whose values lie furthest apart."""

    step: str
    lines: tuple[CandidateLine, ...]
    total: int


class ArmsPage(Struct, frozen=True, kw_only=True):
    """What the template `best_of_n` shows beyond a run's page. `missing` says what the run has not."""

    plain: str | None
    picked: tuple[str, ...]
    pairs: tuple[Pair, ...]
    candidates: tuple[CandidateTable, ...]
    missing: tuple[str, ...]

    @property
    def limits(self) -> tuple[str, ...]:
        """What so many items can show at all, once for each number of items."""
        return tuple(dict.fromkeys(_limit(pair) for pair in self.pairs))


def _limit(pair: Pair) -> str:
    items = numbers.plural(pair.n, "item")
    if pair.smallest is None:
        return f"With {items} no difference can reach p < 0.05: exact McNemar needs {fewest_flips()} flips one way."
    few = f"fewer than {fewest_flips()} flips one way ({numbers.points(pair.smallest)})"
    return f"With {items}, {few} cannot reach p < 0.05."


def build(arms: Arms, results: Results) -> ArmsPage:
    """The plain arm is the first step that picks nothing and gives one answer to each item."""
    picked = tuple(name for name in results.order if results.steps[name].selection is not None)
    others = [name for name in results.order if name not in picked]
    plain = next((name for name in others if _single(arms.steps.get(name, {}))), None)
    pairs = [] if plain is None else [_pair(arms, results.steps, plain, name) for name in picked]
    return ArmsPage(
        plain=plain,
        picked=picked,
        pairs=tuple(pair for pair in pairs if pair is not None),
        candidates=tuple(_table(name, arms.steps[name]) for name in picked),
        missing=tuple(_missing(plain, picked, pairs)),
    )


def _single(items: Mapping[_Key, _Item]) -> bool:
    return all(len(item.counting) == len(item.verdicts) == 1 for item in items.values())


def _missing(plain: str | None, picked: Sequence[str], pairs: Sequence[Pair | None]) -> Iterator[str]:
    if not picked:
        yield "No step picks one of several candidates: a policy with `best_of` and `select` is missing."
    if plain is None:
        yield "No step gives one answer to each item without picking it: there is no arm to compare with."
    for name in (name for name, pair in zip(picked, pairs, strict=False) if pair is None):
        yield f"Step {cell(name)} has no item with a verdict in common with step {cell(plain or '')}."


def _pair(arms: Arms, steps: Mapping[str, StepResults], first: str, second: str) -> Pair | None:
    cells: dict[tuple[bool, bool], list[str]] = {}
    known = arms.steps[second]
    for key, item in arms.steps[first].items():
        one, other = item.passed, known[key].passed if key in known else None
        if one is not None and other is not None:
            cells.setdefault((one, other), []).append(key[2])
    both, only_first, only_second, neither = (
        cells.get(place, []) for place in ((True, True), (True, False), (False, True), (False, False))
    )
    found = newcombe_difference(len(both), len(only_second), len(only_first), len(neither))
    if found is None:
        return None
    n = sum(map(len, cells.values()))
    same = arms.steps[first].keys() == known.keys()  # else the ratio would be that of two suites
    _, seconds, tokens = (
        numbers.per(two, one) if same else None
        for one, two in zip(totals(steps[first].all), totals(steps[second].all), strict=True)
    )
    use = steps[second].selection
    return Pair(
        first=first, second=second, oracle=use is not None and use.oracle, n=n,
        both=_names(both), only_first=_names(only_first), only_second=_names(only_second), neither=_names(neither),
        difference=found.value, interval=(found.interval.low, found.interval.high),
        p=mcnemar_exact(len(only_first), len(only_second)), smallest=smallest_visible_difference(n),
        tokens=tokens, seconds=seconds,
    )  # fmt: skip


def _names(names: Sequence[str]) -> Names:
    return Names(tuple(names[:_NAMED]), len(names))


def _table(step: str, items: Mapping[_Key, _Item]) -> CandidateTable:
    chosen = {key: item for key, item in items.items() if item.values != [None]}
    ranked = sorted(chosen.items(), key=lambda pair: (not pair[1].mixed, -(pair[1].spread or 0.0)))
    lines = tuple(
        CandidateLine(
            key[2],
            tuple((numbers.number(value), passed) for value, passed in zip(item.values, item.verdicts, strict=True)),
            item.spread,
            item.passed,
        )
        for key, item in ranked[:_LINES]
    )
    return CandidateTable(step, lines, len(chosen))
