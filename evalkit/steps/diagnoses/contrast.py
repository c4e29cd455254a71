"""Two steps on the same items: what each scored where both did, how far they differ, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from evalkit.stats.intervals import Interval, mean
from evalkit.stats.paired import Difference, mcnemar_exact, mean_difference, mid_p, newcombe_difference, sign_flip_p

_ONE_SIDED = 0.9
"""Each end of a two-sided interval of 90 % is a one-sided bound of 95 %."""


class Counts(Struct, frozen=True):
    """Items that are solved or not: by both, only before (lost), only after (gained), by neither."""

    both: int
    lost: int
    gained: int
    neither: int


class Contrast(Struct, frozen=True):
    """After minus before over the `n` items that both scored.

    `interval` is that of 95 %, each end of `one_sided` holds by itself with 95 %. `counts` and `mid_p` are None where a
    score is a share. None everywhere of no items.
    """

    n: int
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    one_sided: Interval | None = None
    p: float | None = None
    mid_p: float | None = None
    counts: Counts | None = None


class Side(Struct):
    """What one step made of an item: the scores of its answers that count, and what it was asked, as a digest."""

    asked: bool = False
    scores: list[float] = field(default_factory=list)
    prompt: str = ""

    @property
    def score(self) -> float | None:
        """The mean over the answers; None where none could be scored."""
        return mean(self.scores)


class Pair(Struct):
    """An item as both steps have it. `name` is its id."""

    name: str
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)

    @property
    def scores(self) -> tuple[float, float] | None:
        """Before and after; None unless both are scored."""
        before, after = self.before.score, self.after.score
        return None if before is None or after is None else (before, after)


def contrast(pairs: Iterable[Pair]) -> Contrast:
    """The difference over all pairs that are scored on both sides."""
    found = [scores for pair in pairs if (scores := pair.scores) is not None]
    if not found:
        return Contrast(0)
    before, after = [one for one, _ in found], [other for _, other in found]
    if any(score not in (0.0, 1.0) for pair in found for score in pair):
        differences = [other - one for one, other in found]
        return _made(before, after, _of_shares(before, after), sign_flip_p(differences), None)
    return _of_verdicts(before, after)


def _of_shares(before: Sequence[float], after: Sequence[float]) -> tuple[Difference, Difference]:
    whole, one_sided = mean_difference(after, before), mean_difference(after, before, _ONE_SIDED)
    assert whole is not None  # there are items
    assert one_sided is not None
    return whole, one_sided


def _of_verdicts(before: Sequence[float], after: Sequence[float]) -> Contrast:
    pairs = list(zip(before, after, strict=True))
    counts = Counts(*(pairs.count(pair) for pair in ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))))
    whole, one_sided = (
        newcombe_difference(counts.both, counts.gained, counts.lost, counts.neither, confidence)
        for confidence in (0.95, _ONE_SIDED)
    )
    assert whole is not None  # there are items
    assert one_sided is not None
    return _made(before, after, (whole, one_sided), mcnemar_exact(counts.lost, counts.gained), counts)


def _made(
    before: Sequence[float],
    after: Sequence[float],
    differences: tuple[Difference, Difference],
    p: float,
    counts: Counts | None,
) -> Contrast:
    whole, one_sided = differences
    return Contrast(
        n=len(before),
        before=mean(before),
        after=mean(after),
        difference=whole.value,
        interval=whole.interval,
        one_sided=one_sided.interval,
        p=p,
        mid_p=mid_p(counts.lost, counts.gained) if counts is not None else None,
        counts=counts,
    )
