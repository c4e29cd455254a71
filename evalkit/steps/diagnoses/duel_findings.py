"""The rules by which something is raised of the verdicts of a `judge` step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.core.diagnosis import Raised
from evalkit.core.runfolder import PairingLock
from evalkit.core.types import Json
from evalkit.core.verdicts import Verdict
from evalkit.stats.paired import fewest_flips
from evalkit.steps.diagnoses.duel_found import DuelFound
from evalkit.steps.diagnoses.facts import WHOLE, label
from evalkit.steps.diagnoses.heard import Pair, named
from evalkit.steps.diagnoses.standing import LEVEL, SMALL, Standing
from evalkit.steps.diagnoses.trust import Truth, false_wins

_MANY_INVALID = 0.05
_MANY_AGAINST = 0.05
_REPEATS, _FEW_RETESTS = 0.8, 10
_FAIR_KAPPA = 0.4
_MANY_LEAN = 0.05
_LONGER = 0.6
_FAR = 5.0
"""Answers that differ in length by such a factor were not asked for in the same form."""


def raised(found: DuelFound, pairs: Sequence[Pair], lock: PairingLock) -> Iterator[Raised]:
    """What a reader must be told, whether he looks at the tables or not."""
    yield from _right_and_wrong(found, pairs)
    yield from _chance(found)
    yield from _bias(found, pairs, lock)
    yield from _unreadable(found, pairs)
    yield from _panel(found)
    yield from _kinds(found)


def _right_and_wrong(found: DuelFound, pairs: Sequence[Pair]) -> Iterator[Raised]:
    wrong = false_wins(pairs)
    whole = found.truths.get(WHOLE) or next(iter(found.truths.values()), None)
    names: dict[str, Json] = {"player": found.player, "opponent": found.opponent}
    if wrong and whole is not None:
        values = {**names, "count": len(wrong), "wins": found.overall.pooled.tally.wins, "robbed": whole.robbed}
        yield Raised("judged_win_wrong", values, named(wrong), len(wrong))
    against: list[Json] = [
        {
            "category": label(name),
            "score": one.value,
            "player": known.player,
            "opponent": known.opponent,
            "n": known.n,
            "p": known.p,
        }
        for name, one in found.categories.items()
        if (known := found.truths.get(name)) is not None and one.shown and _against(one, known)
    ]
    if against:
        yield Raised("preferred_not_right", {**names, "categories": against})
    agreed = whole.agreement if whole is not None else None
    if agreed is not None and agreed.kappa is not None and agreed.kappa < _FAIR_KAPPA and agreed.n >= SMALL:
        yield Raised("judge_against_truth", {"kappa": agreed.kappa, "observed": agreed.observed, "n": agreed.n})


def _against(one: Standing, known: Truth) -> bool:
    """Whether the side that is preferred has fewer right answers."""
    return known.player < known.opponent if one.ahead else known.opponent < known.player


def _chance(found: DuelFound) -> Iterator[Raised]:
    small: list[Json] = [
        {"category": name, "n": one.tally.n, "decided": one.won + one.lost}
        for name, one in found.categories.items()
        if one.small
    ]
    if small:
        yield Raised("category_too_small", {"categories": small, "small": SMALL, "fewest": fewest_flips()})
    unshown: list[Json] = [
        {"category": name, "score": one.value, "p": one.p, "holm": one.holm}
        for name, one in found.categories.items()
        if one.ahead and not one.shown and not one.small
    ]
    if unshown:
        yield Raised("ahead_not_shown", {"player": found.player, "opponent": found.opponent, "categories": unshown})


def _panel(found: DuelFound) -> Iterator[Raised]:
    for (one, other), agreed in found.panel.items():
        if agreed.kappa is not None and agreed.kappa < _FAIR_KAPPA and agreed.n >= SMALL:
            low, high = agreed.interval
            values: dict[str, Json] = {"one": one, "other": other, "n": agreed.n, "kappa": agreed.kappa}
            yield Raised("judges_disagree", values | {"observed": agreed.observed, "low": low, "high": high})


def _kinds(found: DuelFound) -> Iterator[Raised]:
    if found.one_kind:
        kinds: list[Json] = [
            {"category": category, "field": field, "value": value}
            for (category, field), value in found.one_kind.items()
        ]
        yield Raised("category_of_one_kind", {"kinds": kinds})


def _bias(found: DuelFound, pairs: Sequence[Pair], lock: PairingLock) -> Iterator[Raised]:
    for judge, place in found.places.items():
        many = place.to_first + place.to_second >= _MANY_LEAN * place.pairs
        if many and place.p is not None and place.p < LEVEL and place.rate is not None:
            values: dict[str, Json] = {"judge": judge, "pairs": place.pairs, "flips": place.flips, "p": place.p}
            values |= {"share": place.rate.value, "first": place.to_first, "second": place.to_second}
            flipped = _said(pairs, judge, "inconsistent")
            yield Raised("position_bias", values, named(flipped), len(flipped))
    if not lock.swap and pairs:
        yield Raised("one_order", {"pairs": len(pairs)})
    yield from _lengths(found)


def _lengths(found: DuelFound) -> Iterator[Raised]:
    whole = found.lengths.get(WHOLE) or next(iter(found.lengths.values()), None)
    longer = whole.longer if whole is not None else None
    if longer is not None and longer.p < LEVEL and longer.rate.value >= _LONGER:
        low, high = longer.rate.interval
        yield Raised(
            "length_bias",
            {
                "part": longer.rate.part,
                "of": longer.rate.of,
                "share": longer.rate.value,
                "low": low,
                "high": high,
                "p": longer.p,
            },
        )
    far: list[Json] = [
        {"category": name, "player": one.player, "opponent": one.opponent}
        for name, one in found.lengths.items()
        if name != WHOLE and one.ratio is not None and not 1.0 / _FAR < one.ratio < _FAR
    ]
    if far:
        yield Raised("lengths_far_apart", {"player": found.player, "opponent": found.opponent, "categories": far})


def _unreadable(found: DuelFound, pairs: Sequence[Pair]) -> Iterator[Raised]:
    single = {name: found.overall.pooled for name in found.judges}
    for judge, one in ({name: alone for name, (alone, _) in found.alone.items()} or single).items():
        asked = one.tally.n + one.invalid
        if one.bounds is not None and one.invalid >= _MANY_INVALID * asked:
            low, high = one.bounds
            invalid = _said(pairs, judge, "invalid")
            told: dict[str, Json] = {"judge": judge, "invalid": one.invalid, "asked": asked, "low": low, "high": high}
            yield Raised("many_invalid", told, named(invalid), len(invalid))
    for judge, given in found.ratings.items():
        if given.against >= max(2, _MANY_AGAINST * given.games):
            yield Raised("verdict_against_ratings", {"judge": judge, "against": given.against, "games": given.games})
    for judge, again in found.retests.items():
        if again.n >= _FEW_RETESTS and again.observed < _REPEATS:
            low, high = again.interval
            values: dict[str, Json] = {
                "judge": judge,
                "n": again.n,
                "observed": again.observed,
                "low": low,
                "high": high,
                "kappa": again.kappa,
            }
            yield Raised("judge_not_repeatable", values)


def _said(pairs: Sequence[Pair], judge: str, verdict: Verdict) -> list[Pair]:
    """The pairs of which one judge says so."""
    return [pair for pair in pairs if judge in pair.opinions and pair.opinions[judge].verdict == verdict]
