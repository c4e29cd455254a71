"""What a judge that compares two answers says: games, and the verdict that they make together.

A *pair* is one item with an answer of the player and one of the opponent. A *game* is one asking of a judge about a
pair, in one of the two orders. A verdict is always the player's: a win is the player's win, whoever stood first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from evalkit.core.types import FinishReason, Outcome, SamplingParams

Said = Literal["first", "second", "tie"]
"""What a judge says of two answers, by where they stood."""
Verdict = Literal["win", "loss", "tie", "inconsistent", "invalid", "void"]
"""`inconsistent`: the two orders do not agree. `invalid`: the judge answered, and what it says cannot be read. `void`:
there is nothing to read, for an answer of a contestant or of the judge never came."""


_MISSING: tuple[Verdict, ...] = ("void", "invalid")


class Game(Struct, frozen=True):
    """One asking of a judge about a pair. `swapped`: the opponent's answer stood first.

    `said` is None where it cannot be read or never came; `reason` says which. `ratings` are the numbers that the judge
    gave by criterion, those of the answer that stood first before those of the second.
    `key` is the completion that the judge's answer is stored under, `retest` counts how often the same was asked
    before: 0 is the game that the verdict comes from.
    """

    swapped: bool
    said: Said | None
    key: str = ""
    retest: int = 0
    text: str | None = None
    reason: str | None = None
    void: bool = False
    ratings: dict[str, tuple[float, float]] = {}
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    usd: float | None = None
    effective: SamplingParams | None = None

    @property
    def verdict(self) -> Verdict:
        """What this game alone says of the player."""
        if self.said is None:
            return "void" if self.void else "invalid"
        if self.said == "tie":
            return "tie"
        return "win" if (self.said == "first") != self.swapped else "loss"


class Side(Struct, frozen=True):
    """One contestant's answer in a pair: the row that it is, its length, and what the task's own scorer made of it.

    `chars` and `tokens` are None where there is no answer.
    """

    step: str
    model: str
    completion: str
    chars: int | None
    tokens: int | None
    outcome: Outcome
    score: float | None
    truncated: bool = False


class VerdictRow(Struct, frozen=True):
    """What one judge says of one pair: a line of `verdicts.jsonl`, part of the public contract of a run.

    `games` are those that were played, in the order they were asked; the verdict comes from those with `retest` 0.
    `sample` is the index of the answers among the k of the item. `reason` says why there is no verdict.
    """

    step: str
    judge: str
    judge_model: str
    category: str
    task: str
    split: str
    id: str
    sample: int
    groups: dict[str, str]
    player: Side
    opponent: Side
    verdict: Verdict
    games: tuple[Game, ...] = ()
    reason: str | None = None

    @property
    def again(self) -> Verdict | None:
        """The verdict of the games that were played once more; None where there are none."""
        retested = [game for game in self.games if game.retest]
        return verdict_of(retested) if retested else None


def verdict_of(games: Sequence[Game]) -> Verdict:
    """What the games of one pair say together: what all of them say, or else why they say nothing."""
    found = {game.verdict for game in games}
    for missing in _MISSING:
        if missing in found:
            return missing
    if not found:
        return "void"
    return found.pop() if len(found) == 1 else "inconsistent"


def majority_of(verdicts: Sequence[Verdict]) -> Verdict:
    """What more than half of several judges say of a pair.

    Where no verdict has so many it is `void` or `invalid` if that is what some of them are, for these might have
    decided it; `inconsistent` if all have an opinion and they differ.
    """
    counts = Counter(verdicts)
    verdict, times = max(counts.items(), key=lambda pair: pair[1])
    if 2 * times > len(verdicts):
        return verdict
    return next((missing for missing in _MISSING if missing in counts), "inconsistent")
