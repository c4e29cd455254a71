"""How the player stands in some pairs: the verdicts, what they are worth, and whether that may be chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from evalkit.stats.intervals import Estimate, estimate, item_means, mean
from evalkit.stats.judging import HALF, Rate, Tally, bounds, can_be_shown, sign_p, win_rate, win_ratio
from evalkit.stats.multiple import holm
from evalkit.stats.power import detectable_difference, pairs_to_see
from evalkit.stats.strata import macro_estimate
from evalkit.steps.diagnoses.heard import Pair, by_item, tally

LEVEL = 0.05
SMALL = 20
"""With fewer pairs a category is too small to say anything of."""


class Standing(Struct, frozen=True):
    """The verdicts of some pairs.

    `pairs` are all; `invalid` and `void` ones are in no score. `items` is what score and p are over, `won` and `lost`
    those with more wins than losses and the other way round: of one pair to an item they are the wins and the losses.
    `p` is None where nothing is decided, `holm` is p adjusted for all categories. `detectable` is how far from one half
    the score has to lie to be shown; None where nothing could be. `bounds` is the score if all that is invalid were
    lost, and if it were won.
    """

    pairs: int
    tally: Tally
    invalid: int
    void: int
    items: int
    won: int
    lost: int
    score: Estimate | None
    win_rate: Rate | None
    win_ratio: float | None
    p: float | None
    detectable: float | None
    bounds: tuple[float, float] | None
    holm: float | None = None

    @property
    def shown(self) -> bool:
        """Whether it is more than chance that one side is preferred, all categories considered."""
        return self.holm is not None and self.holm < LEVEL

    @property
    def value(self) -> float | None:
        return self.score.value if self.score is not None else None

    @property
    def ahead(self) -> bool:
        """Whether the player has more than half."""
        return self.value is not None and self.value > HALF

    @property
    def tie_share(self) -> float:
        return self.tally.ties / self.tally.n if self.tally.n else 0.0

    @property
    def needed(self) -> int | None:
        """How many items show a score so far from one half with power 0.8; None at one half, and of nothing."""
        decided = (self.won + self.lost) / self.items if self.items else 0.0
        distance = abs(self.won - self.lost) / self.items if self.items else 0.0
        return pairs_to_see(distance, decided) if distance else None

    @property
    def small(self) -> bool:
        """Whether there are too few pairs, or too few that are decided, to say anything of it; what is shown by few is
        shown."""
        return not self.shown and (self.tally.n < SMALL or not can_be_shown(self.won + self.lost))


class Overall(Struct, frozen=True):
    """All categories together: each pair alike (`pooled`), each category alike (`macro`), and each pair alike but those
    of small categories (`without_small`), None where none is small or none is left."""

    pooled: Standing
    macro: float | None
    macro_interval: tuple[float, float] | None
    categories: int
    small: tuple[str, ...]
    without_small: float | None


def standing(pairs: Sequence[Pair]) -> Standing:
    """Of the pairs of a category, or of all."""
    counts = tally(pairs)
    verdicts = [pair.verdict for pair in pairs]
    items = by_item(pairs)
    leans = [math.fsum(worth) - HALF * len(worth) for worth in items]
    won, lost = sum(lean > 0 for lean in leans), sum(lean < 0 for lean in leans)
    invalid = verdicts.count("invalid")
    seen = detectable_difference(len(items), (won + lost) / len(items)) if items else None
    return Standing(
        pairs=len(pairs),
        tally=counts,
        invalid=invalid,
        void=verdicts.count("void"),
        items=len(items),
        won=won,
        lost=lost,
        score=estimate(item_means(items)),
        win_rate=win_rate(counts),
        win_ratio=win_ratio(counts),
        p=sign_p(won, lost) if won + lost else None,
        detectable=seen / 2.0 if seen is not None else None,
        bounds=bounds(counts, invalid) if invalid else None,
    )


def standings(categories: Mapping[str, Sequence[Pair]]) -> dict[str, Standing]:
    """Of each category, with p adjusted for all of them."""
    found = {name: standing(pairs) for name, pairs in categories.items()}
    tested = [name for name, one in found.items() if one.p is not None]
    adjusted = dict(zip(tested, holm([found[name].p or 0.0 for name in tested]), strict=True))
    return {name: replace(one, holm=adjusted.get(name)) for name, one in found.items()}


def overall(categories: Mapping[str, Sequence[Pair]], whole: Sequence[Pair]) -> Overall:
    """Of all pairs. Their p is one test, so there is nothing to adjust it for."""
    pooled = standing(whole)
    found = {name: standing(pairs) for name, pairs in categories.items()}
    scores = [one.value for one in found.values() if one.value is not None]
    between = macro_estimate([item_means(by_item(pairs)) for pairs in categories.values()])
    small = tuple(name for name, one in found.items() if one.tally.n < SMALL)
    left = [pair for name, pairs in categories.items() if name not in small for pair in pairs]
    return Overall(
        pooled=replace(pooled, holm=pooled.p),
        macro=mean(scores),
        macro_interval=(between.interval.low, between.interval.high) if between is not None else None,
        categories=len(scores),
        small=small,
        without_small=standing(left).value if small and left else None,
    )
