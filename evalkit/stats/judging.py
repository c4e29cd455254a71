"""What a judge's verdicts on pairs of answers amount to: wins, losses, ties, and pairs on which its orders disagree.

A tie is worth one half, and so is a pair whose two orders contradict each other: the judge did not say that one is
better. Sources: Zheng et al. 2023 (arXiv 2306.05685) for both orders and the half for what they disagree on; Dixon and
Mood 1946 for the test of signs; Wilson 1927 for the intervals of shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from evalkit.stats.intervals import Estimate, Interval, estimate, wilson
from evalkit.stats.paired import fewest_flips, mcnemar_exact

WIN, HALF, LOSS = 1.0, 0.5, 0.0


class Tally(NamedTuple):
    """How many pairs the player won, lost, tied, and on how many the two orders disagree."""

    wins: int
    losses: int
    ties: int
    inconsistent: int = 0

    @property
    def n(self) -> int:
        """The pairs that the score is over."""
        return self.wins + self.losses + self.ties + self.inconsistent

    @property
    def decided(self) -> int:
        """Those that someone won."""
        return self.wins + self.losses


class Rate(NamedTuple):
    """A share `part / of` with Wilson's interval."""

    value: float
    interval: Interval
    part: int
    of: int


class Position(NamedTuple):
    """Whether a judge favours the answer that it is shown first.

    `first`, `second` and `ties` count games, `rate` is first / (first + second). Of the `pairs` that were judged in
    both orders `flips` are judged otherwise in the other one; `to_first` and `to_second` are those whose games went
    more to one place than to the other, and `p` is the two-sided exact p that they are as many.
    """

    first: int
    second: int
    ties: int
    rate: Rate | None
    pairs: int
    flips: int
    to_first: int
    to_second: int
    p: float | None

    @property
    def flip_rate(self) -> Rate | None:
        return rate(self.flips, self.pairs)


def outcomes(tally: Tally) -> list[float]:
    """One number for each pair: 1, one half or 0."""
    halves = tally.ties + tally.inconsistent
    return [WIN] * tally.wins + [HALF] * halves + [LOSS] * tally.losses


def score(tally: Tally) -> Estimate | None:
    """(W + T/2 + I/2) / n with its interval; None of no pairs. One half is parity, not 1."""
    return estimate(outcomes(tally))


def bounds(tally: Tally, unread: int) -> tuple[float, float] | None:
    """The score if all `unread` verdicts were losses, and if all were wins; None of no pairs."""
    n = tally.n + unread
    won = tally.wins + (tally.ties + tally.inconsistent) / 2.0
    return (won / n, (won + unread) / n) if n else None


def rate(part: int, of: int) -> Rate | None:
    """A share with Wilson's interval; None of nothing."""
    interval = wilson(part, of)
    return None if interval is None else Rate(part / of, interval, part, of)


def win_rate(tally: Tally) -> Rate | None:
    """W / (W + L): what is left when ties are not looked at. None where nothing is decided.

    Where most pairs are ties it speaks of few of them: read it beside the score.
    """
    return rate(tally.wins, tally.decided)


def win_ratio(tally: Tally) -> float | None:
    """W / L; None without a loss."""
    return tally.wins / tally.losses if tally.losses else None


def sign_p(wins: int, losses: int) -> float:
    """The exact two-sided p that wins and losses are equally likely; ties say nothing of it. 1 where there are none."""
    return mcnemar_exact(wins, losses)


def can_be_shown(decided: int) -> bool:
    """Whether so many decided pairs could give p < 0.05 at all, if they all went one way: fewer than six cannot."""
    return decided >= fewest_flips()


def position(games: Iterable[Sequence[str | None]]) -> Position:
    """From the games of each pair: each says who won, `first`, `second` or `tie` by place; None where it is not known.

    A pair of which a game is not known is left out, for of it one place alone would be counted. That one game says
    `first` and the other `second` is what a judge of no bias says of a clear pair, so pairs are tested and not games.
    """
    seen: list[str] = []
    pairs = flips = to_first = to_second = 0
    for one in games:
        known = [said for said in one if said is not None]
        if len(known) < len(one):
            continue
        seen += known
        if len(known) < 2:
            continue
        pairs += 1
        lean = known.count("first") - known.count("second")
        flips += _flipped(known)
        to_first += lean > 0
        to_second += lean < 0
    first, second = seen.count("first"), seen.count("second")
    p = sign_p(to_first, to_second) if pairs else None
    return Position(first, second, seen.count("tie"), rate(first, first + second), pairs, flips, to_first, to_second, p)


def _flipped(known: Sequence[str]) -> bool:
    """Whether the games contradict each other. They are in both orders: the same winner has each place once."""
    return not (set(known) == {"tie"} or (known.count("first") == known.count("second") and "tie" not in known))
