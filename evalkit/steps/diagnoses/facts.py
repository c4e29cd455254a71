"""What diagnoses keep of a row: who answered what, as digests, and what became of it. No texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct, field

from evalkit.core.digest import digest
from evalkit.core.types import SampleRow
from evalkit.steps.routing import BY

WHOLE = ""
"""The place of all categories together: no category is called so."""
_SHORT = 16
_MOST_NAMED = 10
_BY_JUDGE = "judge: "


Digest: TypeAlias = int
"""Equal where the things are: 64 bits, so that of a million different ones two are taken for equal once in 37 million
runs."""


class Fact(Struct, frozen=True):
    """One answer. `text`, `answer` and `behaviour` are digests.

    The behaviour of a program is which of its tests pass and how it ends, that of any other answer is the answer that
    was read in it. `passed` is None where a score is a share or there is none. `value` is the selector's.
    """

    name: str
    sample: int
    selected: bool
    text: Digest | None
    answer: Digest | None
    behaviour: Digest | None
    score: float | None
    passed: bool | None
    value: float | None = None
    criteria: dict[str, float] = {}
    temperature: float | None = None


class Group(Struct):
    """The answers to one item, in their order."""

    category: str
    name: str
    facts: list[Fact] = field(default_factory=list)

    @property
    def known(self) -> list[Fact]:
        """Those that came."""
        return [fact for fact in self.facts if fact.text is not None]

    @property
    def judged(self) -> list[Fact]:
        """Those that passed or failed."""
        return [fact for fact in self.facts if fact.passed is not None]

    @property
    def mixed(self) -> bool:
        """Whether some passed and some failed: only there can a choice matter."""
        return len({fact.passed for fact in self.judged}) == 2


class Groups:
    """The items of one step by category, in the order in which they came."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str, str], Group] = {}
        self._lost: set[tuple[str, str, str, str]] = set()
        """Items whose judge did not answer: a void stands in the place of a verdict there."""

    def add(self, row: SampleRow) -> None:
        """Take a row of the step; not what a route did not keep, for that is an answer of another model."""
        if row.choice is not None and row.choice.by == BY:
            return
        key = (row.category, row.task, row.split, row.id)
        if row.outcome == "void" and (row.reason or "").startswith(_BY_JUDGE):
            self._lost.add(key)
        group = self._groups.setdefault(key, Group(row.category, f"{row.step}/{row.id}"))
        group.facts.append(_fact(row, group.name))

    def __iter__(self) -> Iterator[Group]:
        return iter(self.whole)

    def items(self) -> Iterator[tuple[tuple[str, str, str, str], Group]]:
        """Each item by category, task, split and id."""
        return ((key, group) for key, group in self._groups.items() if key not in self._lost)

    def get(self, key: tuple[str, str, str, str]) -> Group | None:
        return None if key in self._lost else self._groups.get(key)

    def by_category(self) -> dict[str, list[Group]]:
        """The groups of each category, and of all together where there are several."""
        found: dict[str, list[Group]] = {}
        for _, group in self.items():
            found.setdefault(group.category, []).append(group)
        return found | {WHOLE: self.whole} if len(found) > 1 else found

    @property
    def whole(self) -> list[Group]:
        """Every item once, also where two categories ask it."""
        once: dict[tuple[str, ...], Group] = {}
        for key, group in self.items():
            once.setdefault(key[1:], group)
        return list(once.values())


def _fact(row: SampleRow, name: str) -> Fact:
    """What is kept of a row. All answers to an item share its one `name`."""
    return Fact(
        name=name,
        sample=row.sample,
        selected=row.selected,
        text=_short(row.text),
        answer=_short(row.answer),
        behaviour=_behaviour(row),
        score=row.score,
        passed={"pass": True, "fail": False}.get(row.outcome),
        value=row.choice.value if row.choice is not None else None,
        criteria={name: given.points for name, given in row.choice.criteria.items()} if row.choice is not None else {},
        temperature=row.effective.temperature if row.effective is not None else None,
    )


def _short(what: object) -> Digest | None:
    return None if what is None else short(what)


def short(what: object) -> Digest:
    """The digest of what is kept only to be told apart from others."""
    return int(digest(what)[:_SHORT], 16)


def _behaviour(row: SampleRow) -> Digest | None:
    if row.tests_total is None:
        return _short(row.answer)
    return short([row.error_class, [[test.label, test.passed] for test in row.tests]])


def label(category: str) -> str:
    """A category's name in a table."""
    return category or "all"


def named(groups: Sequence[Group]) -> tuple[str, ...]:
    """Names of the first few groups, as `evalkit show` takes them."""
    return tuple(group.name for group in groups[:_MOST_NAMED])
