"""What a `judge` step found: who is preferred, by how much, whether it is more than chance, what speaks against it.

A score of one half is parity. Nothing here says who is right but the task's own scorer, where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import PairingLock
from evalkit.core.verdicts import VerdictRow
from evalkit.steps.diagnoses import duel_findings, duel_tables
from evalkit.steps.diagnoses.duel_found import DuelFound
from evalkit.steps.diagnoses.facts import WHOLE
from evalkit.steps.diagnoses.heard import Heard, Pair
from evalkit.steps.diagnoses.standing import Standing, overall, standing, standings
from evalkit.steps.diagnoses.trust import Truth, lengths, panel, places, retested, truth

_MOST_GROUPS = 60


class Duel:
    """Takes the verdicts of one `judge` step."""

    def __init__(self, lock: PairingLock) -> None:
        self.lock = lock
        self._heard = Heard()
        self._found: DuelFound | None = None

    def hear(self, row: VerdictRow) -> None:
        """Take a verdict of this step, each once."""
        self._heard.hear(row)

    def found(self) -> DuelFound:
        """All numbers. To be asked once all verdicts were heard."""
        if self._found is None:
            self._found = _found(self._heard, self.lock)
        return self._found

    def result(self) -> Diagnosis:
        found, pairs = self.found(), self._heard.whole
        return Diagnosis(
            diagnosis="judge",
            of=(self.lock.player, self.lock.opponent),
            metrics=_metrics(found),
            tables=tuple(duel_tables.tables(found)),
            figures=tuple(duel_tables.figures(found)),
            raised=tuple(duel_findings.raised(found, pairs, self.lock)),
            notes=(*self.lock.warnings, *duel_tables.notes(found, sum(pair.unasked for pair in pairs))),
        )


def _found(heard: Heard, lock: PairingLock) -> DuelFound:
    categories, whole, names = heard.categories(), heard.whole, list(heard.judges)
    player, opponent = heard.models
    truths = {name: known for name, pairs in heard.tables().items() if (known := truth(pairs)) is not None}
    again = {name: found for name in names if (found := retested(whole, name)) is not None}
    return DuelFound(
        player=player or lock.player,
        opponent=opponent or lock.opponent,
        judges=dict(heard.judges),
        categories=standings(categories),
        overall=overall(categories, whole),
        lengths={name: lengths(pairs) for name, pairs in heard.tables().items()},
        truths=truths,
        places={name: places(whole, name) for name in names},
        retests=again,
        panel=panel(whole, names),
        played=dict(heard.played),
        ratings={name: given for name, given in heard.ratings.items() if given.games},
        alone={name: _alone(whole, name) for name in names} if len(names) > 1 else {},
        groups=_by_group(whole),
        one_kind=dict(_one_kind(categories)),
    )


def _alone(pairs: Sequence[Pair], judge: str) -> tuple[Standing, Truth | None]:
    """The pairs as if this judge were the only one."""
    found = [replace(pair, opinions={judge: pair.opinions[judge]}) for pair in pairs if judge in pair.opinions]
    return standing(found), truth(found)


def _by_group(pairs: Sequence[Pair]) -> dict[str, dict[str, Standing]]:
    values: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        for field, value in pair.groups.items():
            values.setdefault(field, {}).setdefault(value, []).append(pair)
    told = {field: found for field, found in values.items() if 1 < len(found) <= min(_MOST_GROUPS, len(pairs) - 1)}
    return {field: {value: standing(found[value]) for value in sorted(found)} for field, found in told.items()}


def _one_kind(categories: Mapping[str, Sequence[Pair]]) -> Iterator[tuple[tuple[str, str], str]]:
    for category, pairs in categories.items():
        for field in pairs[0].groups if len(pairs) > 1 else ():
            values = {pair.groups.get(field) for pair in pairs}
            if len(values) == 1:
                yield (category, field), pairs[0].groups[field]


def _metrics(found: DuelFound) -> dict[str, float | None]:
    whole = found.overall.pooled
    low, high = whole.score.interval if whole.score is not None else (None, None)
    return {
        "pairs": float(whole.pairs),
        "wins": float(whole.tally.wins),
        "losses": float(whole.tally.losses),
        "ties": float(whole.tally.ties),
        "inconsistent": float(whole.tally.inconsistent),
        "invalid": float(whole.invalid),
        "void": float(whole.void),
        "score": whole.value,
        "score_low": low,
        "score_high": high,
        "score_if_invalid_lost": whole.bounds[0] if whole.bounds is not None else whole.value,
        "score_if_invalid_won": whole.bounds[1] if whole.bounds is not None else whole.value,
        "macro": found.overall.macro,
        "win_rate": whole.win_rate.value if whole.win_rate is not None else None,
        "win_ratio": whole.win_ratio,
        "p": whole.p,
        "detectable": whole.detectable,
        **_bias(found),
        **_truths(found),
    }


def _bias(found: DuelFound) -> dict[str, float | None]:
    """Of place and length; of several judges the place is that of the one with the strongest lean."""
    length = found.lengths.get(WHOLE) or next(iter(found.lengths.values()), None)
    seen = sorted(found.places.values(), key=lambda one: one.p if one.p is not None else 2.0)
    place = seen[0] if seen else None
    again = min(found.retests.values(), key=lambda one: one.observed, default=None)
    longer = length.longer if length is not None else None
    controlled = length.controlled if length is not None else None
    return {
        "first_shown": place.rate.value if place is not None and place.rate is not None else None,
        "flip_rate": place.flip_rate.value if place is not None and place.flip_rate is not None else None,
        "position_p": place.p if place is not None else None,
        "longer_wins": longer.rate.value if longer is not None else None,
        "longer_p": longer.p if longer is not None else None,
        "length_slope": controlled.gamma if controlled is not None else None,
        "length_controlled": length.rate if length is not None else None,
        "retested": float(again.n) if again is not None else 0.0,
        "retest_agreement": again.observed if again is not None else None,
        "retest_kappa": again.kappa if again is not None else None,
    }


def _truths(found: DuelFound) -> dict[str, float | None]:
    """Over all verifiable pairs."""
    known = found.truths.get(WHOLE) or next(iter(found.truths.values()), None)
    one_right = known.named + known.missed + known.wrong if known is not None else 0
    return {
        "verifiable": float(known.n) if known is not None else 0.0,
        "player_right": known.player / known.n if known is not None else None,
        "opponent_right": known.opponent / known.n if known is not None else None,
        "named_right": known.named / one_right if known is not None and one_right else None,
        "wins_of_wrong_answers": float(known.false_wins) if known is not None else None,
        "truth_kappa": known.agreement.kappa if known is not None and known.agreement is not None else None,
    }
