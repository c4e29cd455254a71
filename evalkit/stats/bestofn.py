"""Best of N: what a selector could gain and what it gained, from who passed among the candidates and whom it picked.

A group is the verdicts of the candidates to one item, and a pick the place of the chosen one. Picking at random is what
a selector has to beat; the oracle picks a pass wherever there is one. Where no group is mixed, both are equal, and no
selector can matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.stats.intervals import mean
from evalkit.stats.paired import sign_flip_p

Verdicts = Sequence[bool]
_ROUNDING = 1e-9


def random_rate(groups: Sequence[Verdicts]) -> float | None:
    """The rate of a random pick: the mean over groups of the share that passes; None of nothing."""
    return mean([_share(group) for group in groups])


def selected_rate(groups: Sequence[Verdicts], picks: Sequence[int]) -> float | None:
    """The rate of the picks; None of nothing."""
    return mean([float(_picked(group, pick)) for group, pick in zip(groups, picks, strict=True)])


def oracle_rate(groups: Sequence[Verdicts]) -> float | None:
    """The share of groups with a pass, which no selector exceeds; None of nothing."""
    return mean([float(_share(group) > 0.0) for group in groups])


def worst_rate(groups: Sequence[Verdicts]) -> float | None:
    """The share of groups that pass throughout, below which no selector falls; None of nothing."""
    return mean([float(_share(group) == 1.0) for group in groups])


def efficiency(groups: Sequence[Verdicts], picks: Sequence[int]) -> float | None:
    """(selected - random) / (oracle - random): 1 is the oracle, 0 a random pick, below 0 worse than random.

    None where oracle and random are equal, for no group is mixed. Groups that are not do not enter at all.
    """
    chosen = list(zip(groups, picks, strict=True))
    gains = math.fsum(_picked(group, pick) - _share(group) for group, pick in chosen)
    room = math.fsum((_share(group) > 0.0) - _share(group) for group, _ in chosen)
    return gains / room if room else None


def selection_gains(groups: Sequence[Verdicts], picks: Sequence[int]) -> list[float]:
    """Selected minus random of each group: what `bootstrap.mean_interval` makes an interval of."""
    return [_picked(group, pick) - _share(group) for group, pick in zip(groups, picks, strict=True)]


def selection_p(
    groups: Sequence[Verdicts], picks: Sequence[int], resamples: int = 10_000, seed: int = 0
) -> float | None:
    """Two-sided p by sign flips that selected and random rate differ on items like these; None where no group is mixed.

    It takes gains and losses to be spread alike, which holds roughly from some twenty mixed groups. `random_pick_p`
    needs nothing of the kind.
    """
    gains = selection_gains(groups, picks)
    return sign_flip_p(gains, resamples, seed) if any(gains) else None


def random_pick_p(groups: Sequence[Verdicts], picks: Sequence[int]) -> float | None:
    """Exact two-sided p that the picks are random: how often is a random pick's number of passes as far from its mean?

    None where no group is mixed. It is about these groups and these candidates, not about others like them.
    """
    mixed = [(_share(group), _picked(group, pick)) for group, pick in zip(groups, picks, strict=True)]
    mixed = [(share, passed) for share, passed in mixed if 0.0 < share < 1.0]
    if not mixed:
        return None
    chances = [1.0]
    for share, _ in sorted(mixed):
        with_pass, without = [0.0, *chances], [*chances, 0.0]
        chances = [share * a + (1.0 - share) * b for a, b in zip(with_pass, without, strict=True)]
    expected = math.fsum(share for share, _ in mixed)
    distance = abs(sum(passed for _, passed in mixed) - expected) - _ROUNDING
    return min(1.0, math.fsum(chance for count, chance in enumerate(chances) if abs(count - expected) >= distance))


def _share(group: Verdicts) -> float:
    if not group:
        raise ValueError("a group has no candidates")
    return sum(group) / len(group)


def _picked(group: Verdicts, pick: int) -> bool:
    if not 0 <= pick < len(group):
        raise ValueError(f"there is no candidate {pick} among {len(group)}")
    return group[pick]
