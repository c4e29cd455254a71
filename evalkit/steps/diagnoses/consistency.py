"""Wobble or inability? Several answers to each item, set beside the greedy one.

Answers are compared as what was read in them, programs by their behaviour (which tests pass, how they end): two
programs that differ in a name agree. Everything is measured under the policy that is diagnosed, and says nothing of
another.

Each item is one of four, in this order:
    stable right    greedy right, and at least four fifths of the answers as well
    wobbly          greedy right, but fewer of the answers
    reachable       greedy wrong, and some answer right
    unreachable     greedy wrong, and no answer right
Where there is no greedy answer, the most frequent one stands for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats import consistency as agreement
from evalkit.stats.intervals import estimate, mean
from evalkit.stats.passk import maj_at_k
from evalkit.steps.diagnoses.facts import Digest, Groups, label

STABLE, WOBBLY, REACHABLE, UNREACHABLE = "stable right", "wobbly", "reachable", "unreachable"
CLASSES = (STABLE, WOBBLY, REACHABLE, UNREACHABLE)
_STABLE_SHARE = 0.8
_CONSISTENT = 0.6
_LINES = 40
_COLUMNS = (
    Column("category"),
    Column("items", "count"),
    Column("answers each", "number"),
    Column("greedy", "share"),
    Column("mean", "share"),
    Column("majority", "share"),
    Column("any right", "share"),
    Column("all right", "share"),
    Column("modal rate", "share"),
    Column("agreement", "share"),
    Column("entropy", "number"),
    Column("recoverable", "share"),
    Column("95 % interval", "interval"),
)
_ABOUT = (
    "Majority is maj@k of all k answers, any right is pass@k, all right is pass^k. The modal rate is the share of an "
    "item's "
    "most frequent answer, agreement the chance that two of its answers are equal, entropy is in nats. Recoverable "
    "items "
    "are those where greedy is wrong and some answer is right, as a share of all."
)


class _Item(Struct, frozen=True):
    """One item: how often each behaviour came, whether each answer is right, and whether the greedy one is."""

    key: tuple[str, ...]
    name: str
    category: str
    keys: tuple[Digest | None, ...]
    right: tuple[bool, ...]
    greedy: bool | None

    @property
    def counts(self) -> list[int]:
        """How often each answer came; one without an answer agrees with nothing, not even with another such."""
        known = Counter(key for key in self.keys if key is not None)
        return [*known.values(), *([1] * (len(self.keys) - known.total()))]

    @property
    def modal_rate(self) -> float:
        return max(self.counts) / len(self.keys)

    @property
    def majority(self) -> float:
        return maj_at_k(self.keys, self.right, len(self.keys))

    @property
    def share_right(self) -> float:
        return sum(self.right) / len(self.right)

    @property
    def known_right(self) -> bool:
        """Whether the answer that stands for the item is right."""
        return self.greedy if self.greedy is not None else self.majority > 0.5

    @property
    def kind(self) -> str:
        if self.known_right:
            return STABLE if self.share_right >= _STABLE_SHARE else WOBBLY
        return REACHABLE if any(self.right) else UNREACHABLE

    @property
    def recoverable(self) -> bool:
        return self.kind == REACHABLE


class Consistency:
    """The kind `consistency`. Roles: `of` has several answers to each item, `greedy` one."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._steps = lock.reads
        self._groups, self._greedy = Groups(), Groups()

    def add(self, row: SampleRow) -> None:
        if row.step == self._steps["of"]:
            self._groups.add(row)
        else:
            self._greedy.add(row)

    def result(self) -> Diagnosis:
        asked = list(self._items())
        items = list({item.key: item for item in reversed(asked)}.values())[::-1]  # once, also if two categories ask it
        by_category = _by_category(asked, items)
        notes = list(self._notes(items))
        return Diagnosis(
            diagnosis="consistency",
            of=tuple(dict.fromkeys((self._steps["of"], *self._steps.values()))),
            metrics=_metrics(items),
            tables=tuple(_tables(items, by_category)) if items else (),
            figures=(_figure(by_category),) if items else (),
            raised=tuple(_raised(items)),
            notes=tuple(notes),
        )

    def _items(self) -> Iterator[_Item]:
        for key, group in self._groups.items():
            judged = group.judged
            if len(judged) < 2:
                continue
            beside = self._greedy.get(key)
            greedy = beside.judged[0].passed if beside is not None and beside.judged else None
            if "greedy" in self._steps and greedy is None:
                continue  # void there: the item is in neither
            yield _Item(
                key[1:],
                group.name,
                group.category,
                tuple(fact.behaviour for fact in judged),
                tuple(fact.passed is True for fact in judged),
                greedy,
            )

    def _notes(self, items: Sequence[_Item]) -> Iterator[str]:
        left = len(self._groups.whole) - len(items)
        if left:
            yield (
                f"{left} items are left out: fewer than two of their answers passed or failed, or the "
                f"greedy one is void."
            )
        if "greedy" not in self._steps:
            yield "There is no greedy answer: the most frequent one stands for it."
        if items and len({len(item.keys) for item in items}) > 1:
            yield "Items differ in how many answers they have; the figures of k answers take all that each has."


def _by_category(asked: Sequence[_Item], once: Sequence[_Item]) -> dict[str, list[_Item]]:
    found: dict[str, list[_Item]] = {}
    for item in asked:
        found.setdefault(item.category, []).append(item)
    return found | {"": list(once)} if len(found) > 1 else found


def _metrics(items: Sequence[_Item]) -> dict[str, float | None]:
    known = [item.greedy for item in items if item.greedy is not None]
    return {
        "items": float(len(items)),
        "answers": mean([float(len(item.keys)) for item in items]),
        "greedy": mean([float(right) for right in known]),
        "mean": mean([item.share_right for item in items]),
        "majority": mean([item.majority for item in items]),
        "any_right": mean([float(any(item.right)) for item in items]),
        "all_right": mean([float(all(item.right)) for item in items]),
        "modal_rate": mean([item.modal_rate for item in items]),
        "agreement": _known_mean(agreement.pairwise_agreement(item.counts) for item in items),
        "entropy": _known_mean(agreement.entropy(item.counts) for item in items),
        "recoverable": mean([float(item.recoverable) for item in items]),
        **{kind.replace(" ", "_"): mean([float(item.kind == kind) for item in items]) for kind in CLASSES},
    }


def _known_mean(values: Iterable[float | None]) -> float | None:
    return mean([value for value in values if value is not None])


def _tables(items: Sequence[_Item], by_category: dict[str, list[_Item]]) -> Iterator[DiagnosisTable]:
    yield DiagnosisTable("consistency", "Answers beside the greedy one", _COLUMNS, _rows(by_category), _ABOUT)
    yield _class_table(by_category)
    yield _square(items)
    reachable = [item for item in items if item.recoverable]
    if reachable:
        yield _reachable_table(reachable)


def _rows(by_category: dict[str, list[_Item]]) -> tuple[tuple[object, ...], ...]:
    names = ("answers", "greedy", "mean", "majority", "any_right", "all_right", "modal_rate", "agreement", "entropy")
    lines = []
    for category, items in by_category.items():
        found = _metrics(items)
        recoverable = estimate([float(item.recoverable) for item in items])
        bounds = tuple(recoverable.interval) if recoverable is not None else None
        lines.append((label(category), len(items), *(found[name] for name in names), found["recoverable"], bounds))
    return tuple(lines)


def _class_table(by_category: dict[str, list[_Item]]) -> DiagnosisTable:
    columns = (Column("category"), *(Column(kind, "count") for kind in CLASSES))
    lines = tuple(
        (label(category), *(sum(item.kind == kind for item in items) for kind in CLASSES))
        for category, items in by_category.items()
    )
    about = (
        "Stable right: greedy right and at least 80 % of the answers. Wobbly: greedy right, fewer of the answers. "
        "Reachable: "
        "greedy wrong, some answer right. Unreachable: no answer right. Without a greedy answer the most frequent one "
        "stands for it."
    )
    return DiagnosisTable("classes", "What kind of item each is", columns, lines, about)


def _square(items: Sequence[_Item]) -> DiagnosisTable:
    """Consistent or not, right or not: agreement is no sign of being right."""
    lines = []
    for name, consistent in (("consistent", True), ("inconsistent", False)):
        some = [item for item in items if (item.modal_rate >= _CONSISTENT) is consistent]
        right = sum(item.known_right for item in some)
        lines.append((name, right, len(some) - right, right / len(some) if some else None))
    columns = (
        Column("answers are"),
        Column("right", "count"),
        Column("wrong", "count"),
        Column("share right", "share"),
    )
    about = (
        f"Consistent: the most frequent answer is at least {_CONSISTENT:.0%} of an item's answers. Right: "
        f"the greedy one."
    )
    return DiagnosisTable("square", "Consistent is not right", columns, tuple(lines), about)


def _reachable_table(reachable: Sequence[_Item]) -> DiagnosisTable:
    shown = sorted(reachable, key=lambda item: (-item.share_right, item.name))[:_LINES]
    lines = tuple((item.name, sum(item.right), len(item.right), item.modal_rate) for item in shown)
    columns = (Column("item"), Column("right", "count"), Column("answers", "count"), Column("modal rate", "share"))
    about = "Greedy wrong, some answer right: what could be learned from the model's own answers."
    if len(reachable) > _LINES:
        about += f" The {_LINES} with the most right answers, of {len(reachable)}."
    return DiagnosisTable("reachable", "Recoverable items", columns, lines, about)


def _figure(by_category: dict[str, list[_Item]]) -> Figure:
    series = []
    for kind in CLASSES:
        shares = tuple(sum(item.kind == kind for item in items) / len(items) for items in by_category.values())
        series.append(Series(kind, tuple(float(place) for place in range(len(shares))), shares))
    return Figure(
        name="classes",
        kind="bars",
        title="What kind of item each is",
        x_label="category",
        y_label="share of items",
        series=tuple(series),
        ticks=tuple(label(category) for category in by_category),
        percent=("y",),
    )


def _raised(items: Sequence[_Item]) -> list[Raised]:
    reachable = [item for item in items if item.recoverable]
    found = estimate([float(item.recoverable) for item in items])
    if found is None or not reachable:
        return []
    low, high = found.interval
    values = {"recoverable": found.value, "count": len(reachable), "items": len(items), "low": low, "high": high}
    return [Raised("recoverable_items", values, tuple(item.name for item in reachable[:10]), len(reachable))]
