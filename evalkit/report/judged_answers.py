"""The questions that one has of a comparison by a judge, answered by rule, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import PairingLock
from evalkit.report import numbers
from evalkit.report.text import cell
from evalkit.stats.judging import HALF
from evalkit.steps.diagnoses.duel_found import DuelFound
from evalkit.steps.diagnoses.facts import WHOLE
from evalkit.steps.diagnoses.heard import BOTH, NEITHER, ONLY_OPPONENT, ONLY_PLAYER
from evalkit.steps.diagnoses.standing import LEVEL, SMALL, Standing

_MANY_TIES = 0.3
_NOTHING = "Not known: nothing was judged."


def questions(found: DuelFound, ties: Diagnosis | None) -> Iterator[tuple[str, str]]:
    """Each with its answer."""
    player, opponent = cell(found.player), cell(found.opponent)
    yield f"Does {player} outperform {opponent}?", _outperforms(found) or _NOTHING
    tied = {name: one for name, one in found.shown.items() if one.tie_share >= _MANY_TIES and name != WHOLE}
    if tied:
        shares = ", ".join(f"{cell(name)} {numbers.pct(one.tie_share)}" for name, one in tied.items())
        yield f"Why are so many pairs ties ({shares})?", " ".join(_why_ties(found, tied, ties))
    yield "Are there enough pairs?", " ".join(_enough(found)) or _NOTHING
    yield "Does the place or the length of an answer decide?", " ".join(_bias(found)) or _NOTHING
    yield "Would the judge say the same again?", " ".join(_again(found))


def _outperforms(found: DuelFound) -> str:
    lines = []
    for title, some in (
        (
            "The judge prefers it beyond chance in",
            [n for n, one in found.categories.items() if one.shown and one.ahead],
        ),
        (
            "The judge prefers the opponent beyond chance in",
            [n for n, one in found.categories.items() if one.shown and not one.ahead],
        ),
        ("Not shown in", [n for n, one in found.categories.items() if not one.shown]),
    ):
        if some:
            lines.append(
                f"{title} {', '.join(f'{cell(name)} ({numbers.pct(found.categories[name].value)})' for name in some)}."
            )
    against = [
        f"{cell(name)} {numbers.count(truth.player)} against {numbers.count(truth.opponent)}"
        for name, truth in found.truths.items()
        if name != WHOLE
    ]
    if against:
        lines.append(f"Right answers by the tasks' own scorers: {', '.join(against)}.")
    return " ".join(lines)


def _why_ties(found: DuelFound, tied: dict[str, Standing], ties: Diagnosis | None) -> Iterator[str]:
    for name in tied:
        truth = found.truths.get(name)
        if truth is None or not sum(truth.tied.values()):
            yield f"{cell(name)}: nothing in it can be verified, so it cannot be known."
            continue
        of = numbers.count(sum(truth.tied.values()))
        one_right = truth.tied[ONLY_PLAYER] + truth.tied[ONLY_OPPONENT]
        yield (
            f"{cell(name)}: of {of} verifiable ties {numbers.count(truth.tied[BOTH])} are two right answers, "
            f"{numbers.count(truth.tied[NEITHER])} two wrong ones, and in {numbers.count(one_right)} the judge missed "
            "who is right."
        )
    drawn = ties.metrics.get("ties_drawn") if ties is not None else None
    if ties is not None and drawn:
        yield (
            f"Asked several times for {numbers.count(drawn)} tied items, {cell(found.player)} gives a consistent "
            f"answer in {numbers.pct(ties.metrics['ties_consistent'])} of them and is right "
            f"{numbers.pct(ties.metrics['ties_share_right'])} of the time."
        )
    else:
        yield "Whether the answers to them wobble was not measured: that takes several answers to the same items."


def _enough(found: DuelFound) -> Iterator[str]:
    for name, one in found.categories.items():
        if one.shown:
            continue
        if one.small:
            yield f"{cell(name)}: no, {numbers.plural(one.tally.n, 'pair')} of which {one.won + one.lost} are decided."
            continue
        seen = f"{numbers.count(one.items)} show a score {numbers.points(one.detectable)} from parity"
        yield f"{cell(name)}: {seen if one.detectable is not None else 'too few are decided'}{_needed(one)}."
    if found.categories and all(one.shown for one in found.categories.values()):
        yield "For the leads that are shown, yes; for their size read the intervals."


def _needed(one: Standing) -> str:
    if one.needed is None or one.value is None:
        return ""
    away = numbers.points(abs(one.value - HALF))
    return f"; the one found, {away} away, takes about {numbers.count(one.needed)}"


def _bias(found: DuelFound) -> Iterator[str]:
    for judge, place in found.places.items():
        if not place.pairs:
            yield f"{cell(judge)} saw each pair in one order: what the place decides cannot be known."
        elif place.flip_rate is not None:
            lean = (
                "leans to one place" if place.p is not None and place.p < LEVEL else "leans to no place beyond chance"
            )
            flips = f"{numbers.of(place.flips, place.pairs)} pairs ({numbers.pct(place.flip_rate.value)})"
            yield f"{cell(judge)} judges {flips} otherwise in the other order and {lean} ({numbers.p_is(place.p)})."
    length = found.lengths.get(WHOLE) or next(iter(found.lengths.values()), None)
    if length is not None and length.longer is not None:
        longer = length.longer
        controlled = (
            f" At equal length the score would be {numbers.pct(length.rate)}." if length.rate is not None else ""
        )
        yield (
            f"The longer answer won {numbers.of(longer.rate.part, longer.rate.of)} decided pairs "
            f"({numbers.pct(longer.rate.value)}, {numbers.p_is(longer.p)}).{controlled}"
        )


def _again(found: DuelFound) -> Iterator[str]:
    if not found.retests:
        yield "Not known: no pair was asked once more."
    for judge, one in found.retests.items():
        yield (
            f"{cell(judge)}, asked once more about {numbers.plural(one.n, 'pair')}, gave the same verdict in "
            f"{numbers.pct(one.observed)} (95 % interval {numbers.interval(one.interval)}; kappa "
            f"{numbers.number(one.kappa)})."
        )
    for (first, second), one in found.panel.items():
        pairs = numbers.plural(one.n, "pair")
        yield f"{cell(first)} and {cell(second)} say the same of {numbers.pct(one.observed)} of {pairs}."


def actions(found: DuelFound, lock: PairingLock, ties: Diagnosis | None) -> Iterator[str]:
    """What to do next, what matters most first; the advice of findings comes beside it."""
    for name, one in found.categories.items():
        if one.small:
            yield f"{cell(name)}: ask {SMALL} pairs or many more; until then leave it out of every claim."
        elif not one.shown and one.needed is not None:
            needed = numbers.plural(one.needed, "item")
            yield f"{cell(name)}: about {needed} would show a score such as {numbers.pct(one.value)}, if it is real."
    unverified = [cell(name) for name in found.categories if name not in found.truths]
    if unverified:
        yield f"{', '.join(unverified)}: nothing says who is right. A second judge, or a task with a scorer, would."
    if not lock.swap:
        yield "Judge both orders."
    if not found.retests:
        yield "Ask a share of the pairs once more (`retest`), so that it is known whether the judge repeats itself."
    if ties is None and found.truths:
        yield f"Cross the verdicts with the scorers: `{{diagnose: ties, of: {cell(lock.step)}}}`."
