"""How far the verdicts of a judge can be trusted: place, length, itself, other judges, and who is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from msgspec import Struct

from evalkit.core.verdicts import Verdict
from evalkit.stats.agreement import Agreement, agreement
from evalkit.stats.intervals import mean
from evalkit.stats.judging import HALF, Position, position, sign_p
from evalkit.stats.length import ENOUGH, LengthControl, LongerWins, length_control, longer_wins
from evalkit.stats.paired import mcnemar_exact
from evalkit.steps.diagnoses.heard import BOTH, NEITHER, ONLY_OPPONENT, ONLY_PLAYER, WORTH, Pair, lone_right, verifiable

_TRUE_VERDICT = {BOTH: "tie", NEITHER: "tie", ONLY_PLAYER: "win", ONLY_OPPONENT: "loss"}


class Lengths(Struct, frozen=True):
    """Characters of the answers, over pairs in which both are known, and what the longer one has to do with winning.

    `ratio` is the median of player over opponent. `controlled` is None where the model cannot be fitted; its rate is to
    be told of `ENOUGH` pairs and more.
    """

    player: float | None
    opponent: float | None
    ratio: float | None
    longer: LongerWins | None
    controlled: LengthControl | None

    @property
    def rate(self) -> float | None:
        """The length-controlled score, where there are enough pairs for one."""
        return self.controlled.rate if self.controlled is not None and self.controlled.n >= ENOUGH else None


class Truth(Struct, frozen=True):
    """The verdicts beside what the task's own scorer says, over the `n` verifiable pairs.

    `counts` has how many of them are of each truth, `tied` how many of the ties; `p` is McNemar's of the two sides. Of
    the pairs in which one side alone is right and that have a verdict the judge `named` it, named the `wrong` one, or
    said neither (`missed`). `false_wins` are wins of a wrong answer, `robbed` those of them over a right one.
    `agreement` takes who is right for the verdict that should have been given.
    """

    n: int
    player: int
    opponent: int
    counts: dict[str, int]
    tied: dict[str, int]
    p: float
    named: int
    missed: int
    wrong: int
    false_wins: int
    robbed: int
    agreement: Agreement | None


def lengths(pairs: Sequence[Pair]) -> Lengths:
    """Over the pairs of a category, or all."""
    known = [(pair, pair.chars) for pair in pairs if pair.longer_by is not None]
    mine = [float(one[0] or 0) for _, one in known]
    others = [float(one[1] or 0) for _, one in known]
    differences, results = _by_item([pair for pair, _ in known])
    ratios = sorted(a / b for a, b in zip(mine, others, strict=True) if b)
    return Lengths(
        player=mean(mine),
        opponent=mean(others),
        ratio=ratios[len(ratios) // 2] if ratios else None,
        longer=longer_wins(differences, results),
        controlled=length_control(differences, results),
    )


def _by_item(pairs: Sequence[Pair]) -> tuple[list[float], list[float]]:
    """Of each item with a verdict, how much longer the player's answers are and who won (1, one half, 0), on average
    over its pairs: samples of an item are not independent."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for pair in pairs:
        if pair.worth is not None:
            found.setdefault(pair.item, []).append((float(pair.longer_by or 0), pair.worth))
    differences = [mean([one for one, _ in some]) or 0.0 for some in found.values()]
    worths = [mean([worth for _, worth in some]) or 0.0 for some in found.values()]
    return differences, [worth if worth == HALF else float(worth > HALF) for worth in worths]


def places(pairs: Sequence[Pair], judge: str) -> Position:
    """How often the first-shown answer won, by one judge. The p is over items, each with the place that its pairs lean
    to together."""
    heard = [pair for pair in pairs if judge in pair.opinions]
    found = position(pair.opinions[judge].said for pair in heard)
    leans: Counter[tuple[str, str, str]] = Counter()
    for pair in heard:
        one = position([pair.opinions[judge].said])
        leans[pair.item] += one.to_first - one.to_second
    to_first, to_second = (sum(lean * sign > 0 for lean in leans.values()) for sign in (1, -1))
    return found._replace(p=None if found.p is None else sign_p(to_first, to_second))


def retested(pairs: Sequence[Pair], judge: str) -> Agreement | None:
    """One judge with itself, over the pairs that have a verdict both times."""
    opinions = [pair.opinions[judge] for pair in pairs if judge in pair.opinions]
    return agreement([(one.verdict, one.again) for one in opinions if one.verdict in WORTH and one.again in WORTH])


def panel(pairs: Sequence[Pair], judges: Sequence[str]) -> dict[tuple[str, str], Agreement]:
    """Each two judges, over the pairs of which both have a verdict."""
    found: dict[tuple[str, str], Agreement] = {}
    for one, other in combinations(judges, 2):
        both = [(_verdict(pair, one), _verdict(pair, other)) for pair in pairs]
        agreed = agreement([(a, b) for a, b in both if a in WORTH and b in WORTH])
        if agreed is not None:
            found[one, other] = agreed
    return found


def _verdict(pair: Pair, judge: str) -> Verdict:
    return pair.opinions[judge].verdict if judge in pair.opinions else "void"


def truth(pairs: Sequence[Pair]) -> Truth | None:
    """Over the verifiable pairs; None where there is none."""
    known = list(verifiable(pairs))
    if not known:
        return None
    rights = [(pair.right[0] is True, pair.right[1] is True) for pair in known]
    truths = [pair.truth for pair in known]
    one_right = [pair for pair in known if pair.truth in (ONLY_PLAYER, ONLY_OPPONENT) and pair.worth is not None]
    named = sum(pair.verdict == _TRUE_VERDICT[pair.truth] for pair in one_right)
    missed = sum(pair.verdict in ("tie", "inconsistent") for pair in one_right)
    false_wins = [pair for pair in known if pair.verdict == "win" and pair.right[0] is False]
    judged = [(_halved(pair.verdict), _TRUE_VERDICT[pair.truth]) for pair in known if pair.worth is not None]
    return Truth(
        n=len(known),
        player=sum(mine for mine, _ in rights),
        opponent=sum(other for _, other in rights),
        counts={one: truths.count(one) for one in _TRUE_VERDICT},
        tied={one: sum(pair.truth == one and pair.verdict == "tie" for pair in known) for one in _TRUE_VERDICT},
        p=mcnemar_exact(*lone_right(known)),
        named=named,
        missed=missed,
        wrong=len(one_right) - named - missed,
        false_wins=len(false_wins),
        robbed=sum(pair.truth == ONLY_OPPONENT for pair in false_wins),
        agreement=agreement(judged),
    )


def false_wins(pairs: Sequence[Pair]) -> list[Pair]:
    """Wins of a wrong answer, those over a right one first."""
    found = [pair for pair in pairs if pair.verdict == "win" and pair.right[0] is False]
    return sorted(found, key=lambda pair: pair.truth != ONLY_OPPONENT)


def _halved(verdict: Verdict) -> str:
    return "tie" if verdict == "inconsistent" else verdict
