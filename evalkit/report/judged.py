"""What a report says of a `judge` step: sentences by rule, from the numbers alone.

The word "beats" stands only where p is below 0.05 after Holm's correction over the categories, and it is always the
judge's word: who is right is said by the tasks' own scorers, beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import PairingLock
from evalkit.report import numbers
from evalkit.report.diagnosed import DiagnosisPage
from evalkit.report.judged_answers import actions, questions
from evalkit.report.text import cell
from evalkit.steps.diagnoses.duel import Duel
from evalkit.steps.diagnoses.duel_found import DuelFound
from evalkit.steps.diagnoses.facts import WHOLE
from evalkit.steps.diagnoses.heard import BOTH
from evalkit.steps.diagnoses.standing import LEVEL, SMALL, Standing
from evalkit.steps.diagnoses.trust import Lengths, Truth

_MOSTLY = 0.5
_LONGER = 0.8


class JudgedLine(Struct, frozen=True):
    """A category in the table of results: its verdicts, what the scorer says, and the one thing to know of it."""

    category: str
    standing: Standing
    truth: Truth | None
    insight: str


class JudgedPage(Struct, frozen=True, kw_only=True):
    """What there is to say of one `judge` step."""

    name: str
    lock: PairingLock
    found: DuelFound
    page: DiagnosisPage
    headline: str
    sentences: tuple[str, ...]
    lines: tuple[JudgedLine, ...]
    unsupported: tuple[str, ...]
    questions: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]


def build(
    duels: Mapping[str, Duel], pages: Sequence[DiagnosisPage], diagnoses: Mapping[str, Diagnosis]
) -> tuple[JudgedPage, ...]:
    """One for each `judge` step."""
    by_name = {page.name: page for page in pages}
    return tuple(_page(name, duel, by_name[name], diagnoses) for name, duel in duels.items())


def _page(name: str, duel: Duel, page: DiagnosisPage, diagnoses: Mapping[str, Diagnosis]) -> JudgedPage:
    found = duel.found()
    ties = next((one for one in diagnoses.values() if one.diagnosis == "ties" and one.of[:1] == (name,)), None)
    lines = (
        JudgedLine(category, one, found.truths.get(category), insight(one, found.truths.get(category), found, category))
        for category, one in found.categories.items()
    )
    return JudgedPage(
        name=name,
        lock=duel.lock,
        found=found,
        page=page,
        headline=headline(found),
        sentences=tuple(_sentences(found)),
        lines=tuple(lines),
        unsupported=tuple(unsupported(found, duel.lock)),
        questions=tuple(questions(found, ties)),
        actions=tuple(actions(found, duel.lock, ties)),
    )


def headline(found: DuelFound) -> str:
    """Who is preferred where, in one sentence."""
    player, opponent = f"**{cell(found.player)}**", f"**{cell(found.opponent)}**"
    if not found.overall.pooled.tally.n:
        return f"Nothing is known of {player} against {opponent}: no pair has a verdict."
    shown = {name: one for name, one in found.categories.items() if one.shown}
    ahead = [name for name, one in shown.items() if one.ahead]
    wrongly = [name for name in ahead if _solves_less(found.truths.get(name))]
    rightly = [name for name in ahead if name not in wrongly]
    robbed = [name for name, one in shown.items() if not one.ahead and _solves_more(found.truths.get(name))]
    behind = [name for name, one in shown.items() if not one.ahead and name not in robbed]
    unsure = [name for name in found.categories if name not in shown]
    parts = [f"{player} beats {opponent} in {_listed(rightly)}"] if rightly else []
    if wrongly:
        prefer = f"{'it' if parts else player} is preferred{'' if parts else f' to {opponent}'}"
        parts.append(f"{prefer} in {_listed(wrongly)} although it has fewer right answers there")
    parts += [f"{'it' if parts else player} loses to {opponent} in {_listed(behind)}"] if behind else []
    if robbed:
        parts.append(
            f"{opponent} is preferred{'' if parts else f' to {player}'} in {_listed(robbed)} although it has "
            "fewer right answers there"
        )
    if unsure:
        of = "" if parts else f" of {player} against {opponent}"
        parts.append(f"in {_listed(unsure)} a lead{of} is not shown either way")
    several = len(found.judges) > 1
    who = f"most of the judges {_listed(list(found.judges))}" if several else f"the judge {_listed(list(found.judges))}"
    return f"In the eyes of {who}, {'; '.join(parts)}."


def _solves_less(truth: Truth | None) -> bool:
    return truth is not None and truth.player < truth.opponent


def _solves_more(truth: Truth | None) -> bool:
    return truth is not None and truth.player > truth.opponent


def _listed(names: Sequence[str]) -> str:
    shown = [cell(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _sentences(found: DuelFound) -> Iterator[str]:
    """Over all pairs, and what the scorers say."""
    whole = found.overall.pooled
    if whole.score is not None:
        halves = f"{numbers.count(whole.tally.ties)} ties, {numbers.count(whole.tally.inconsistent)} inconsistent"
        preference = "" if whole.shown else " No preference over all of them is shown."
        yield (
            f"Over all {numbers.plural(whole.tally.n, 'pair')} with a verdict the score is {numbers.pct(whole.value)} "
            f"(95 % interval {numbers.interval(whole.score.interval)}; 50 % is parity): "
            f"{numbers.count(whole.tally.wins)} won, {numbers.count(whole.tally.losses)} lost, {halves}; sign test "
            f"{numbers.p_is(whole.p)}.{preference}"
        )
    if whole.invalid or whole.void:
        yield (
            f"{numbers.plural(whole.invalid, 'pair')} with a verdict that cannot be read and "
            f"{numbers.plural(whole.void, 'pair')} without an answer are in no score."
        )
    truth = found.truths.get(WHOLE) or next(iter(found.truths.values()), None)
    if truth is not None:
        yield (
            f"By the tasks' own scorers {cell(found.player)} has {numbers.of(truth.player, truth.n)} verifiable pairs "
            f"right and {cell(found.opponent)} {numbers.of(truth.opponent, truth.n)} (exact McNemar "
            f"{numbers.p_is(truth.p)}): where there is such a scorer, it says who is better, and the judge is an "
            "extra."
        )


def insight(one: Standing, truth: Truth | None, found: DuelFound, category: str) -> str:
    """The one thing to know of a category: the first rule that holds, with what stands behind it."""
    if not one.tally.n:
        return "no pair has a verdict"
    few = f" ({numbers.plural(one.tally.n, 'pair')} only)" if one.tally.n < SMALL else ""
    if one.small:
        decided = one.won + one.lost
        return (
            f"too small: {numbers.plural(one.tally.n, 'pair')}, {numbers.count(decided)} decided, whatever the score is"
        )
    if one.shown:
        return _of_a_lead(one, truth, found.lengths[category], found) + few
    beside = _scorer_alone(truth)
    if one.tie_share >= _MOSTLY:
        return f"mostly ties ({numbers.pct(one.tie_share)}){_behind_ties(truth)}; {_chance(one)}{beside}"
    return f"no lead is shown: {_chance(one)}{beside}"


def _scorer_alone(truth: Truth | None) -> str:
    """Where the scorer shows a difference that the judge does not."""
    if truth is None or truth.p >= LEVEL:
        return ""
    return f"; the scorer shows one: {_rights(truth)} right, {numbers.p_is(truth.p)}"


def _rights(truth: Truth) -> str:
    return f"{numbers.count(truth.player)} against {numbers.count(truth.opponent)} of {numbers.count(truth.n)}"


def _of_a_lead(one: Standing, truth: Truth | None, length: Lengths, found: DuelFound) -> str:
    side = found.player if one.ahead else found.opponent
    if truth is not None:
        mine, other = truth.player, truth.opponent
        leads = mine >= other if one.ahead else other >= mine
        scorer = f"{_rights(truth)} right"
        if not leads:
            return f"the judge prefers {cell(side)}, and the scorer does not: {scorer}"
        return f"{cell(side)} is preferred beyond chance; scorer: {scorer}"
    longer = length.longer
    if longer is not None and longer.rate.value >= _LONGER and longer.p < LEVEL:
        share = numbers.of(longer.rate.part, longer.rate.of)
        return f"{cell(side)} is preferred, and so is what is longer ({share}); nothing is verified"
    return f"{cell(side)} is preferred beyond chance; nothing is verified"


def _behind_ties(truth: Truth | None) -> str:
    """What the tied answers are."""
    known = sum(truth.tied.values()) if truth is not None else 0
    if truth is None or not known:
        return ", and nobody knows whether they are right"
    return f", {numbers.of(truth.tied[BOTH], known)} of them two right answers"


def _chance(one: Standing) -> str:
    alone = numbers.p_is(one.p)
    if one.p is not None and one.holm is not None and one.p < LEVEL <= one.holm:
        return f"{alone} alone, {numbers.p(one.holm)} among all categories"
    seen = f"; {numbers.plural(one.items, 'item')} show {numbers.points(one.detectable)} and more from parity"
    return f"{alone}{seen if one.detectable is not None else '; so few decided pairs can show nothing'}"


def unsupported(found: DuelFound, lock: PairingLock) -> Iterator[str]:
    """Claims that one might make of these numbers, and that they do not carry."""
    player, opponent = cell(found.player), cell(found.opponent)
    for name, one in found.categories.items():
        if one.shown or not one.tally.n or one.value is None:
            continue
        claim = f"{player} is {'better' if one.ahead else 'worse'} than {opponent} in {cell(name)}"
        adjusted = f"after Holm {numbers.p(one.holm)}"
        beside = _scorer_agrees(one, found.truths.get(name))
        yield f"That {claim}: {numbers.pct(one.value)}, {numbers.p_is(one.p)}, {adjusted}{_would_take(one)}{beside}."
    for name, truth in found.truths.items():
        one = found.shown.get(name, found.overall.pooled)
        if name != WHOLE and one.shown and one.ahead and truth.player <= truth.opponent:
            right = f"{numbers.count(truth.player)} against {numbers.count(truth.opponent)}"
            yield f"That {player} knows more than {opponent} in {cell(name)}: it has {right} right answers there."
    if found.overall.pooled.tally.ties:
        yield "That ties are hidden ability: a tie says that the judge saw no difference, not that both are right."
    if not lock.swap:
        yield "That the order of the answers did not decide: each pair was judged in one order."
    if len(found.judges) == 1:
        yield "That another judge would say the same: one judge was asked."
    yield f"That a score is a share of what {opponent} can do: 50 % is parity, and 100 % is to win every pair."


def _scorer_agrees(one: Standing, truth: Truth | None) -> str:
    if truth is None or truth.p >= LEVEL or one.ahead == _solves_less(truth):
        return ""
    return f". The task's own scorer does show it ({_rights(truth)} right, {numbers.p_is(truth.p)})"


def _would_take(one: Standing) -> str:
    """How many pairs a lead of this size takes to be shown."""
    if one.needed is None or one.small:
        return ""
    return f"; a score so far from parity takes about {numbers.plural(one.needed, 'item')} to be shown"
