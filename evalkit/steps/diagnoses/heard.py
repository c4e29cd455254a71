"""What diagnoses keep of verdicts: who was said to be better, in which order, how long answers are, who is right.

The verdict of a pair is that of its judge, or of more than half of several judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from evalkit.core.verdicts import Game, Said, Side, Verdict, VerdictRow, majority_of
from evalkit.stats.judging import HALF, LOSS, WIN, Tally
from evalkit.steps.diagnoses.facts import WHOLE, Digest, short
from evalkit.steps.diagnoses.paid import plus
from evalkit.steps.diagnoses.ratings import Ratings

BOTH, ONLY_PLAYER, ONLY_OPPONENT, NEITHER, UNKNOWN = (
    "both right",
    "only player right",
    "only opponent right",
    "both wrong",
    "unverifiable",
)
TRUTHS = (BOTH, ONLY_PLAYER, ONLY_OPPONENT, NEITHER, UNKNOWN)
"""What the task's own scorer makes of a pair. A score that is a share is neither right nor wrong."""
WORTH: dict[Verdict, float] = {"win": WIN, "loss": LOSS, "tie": HALF, "inconsistent": HALF}
"""What a verdict is worth to the player; what is not here is in no score."""
LENGTHS = tuple[int | None, int | None]
_PASSED = {"pass": True, "fail": False}
_NAMED = 10


class Opinion(Struct, frozen=True):
    """What one judge says of a pair: its verdict, the one it gave when it was asked once more, and who won by place in
    each game that the verdict comes from."""

    verdict: Verdict
    again: Verdict | None
    said: tuple[Said | None, ...]


class Pair(Struct):
    """Two answers to one item. `name` is what `evalkit show` takes: the `judge` step and the item. `right` and `chars`
    are the player's and the opponent's."""

    key: tuple[str, str, str, int]
    category: str
    name: str
    right: tuple[bool | None, bool | None]
    chars: LENGTHS
    truncated: tuple[bool, bool]
    groups: dict[str, str] = {}
    opinions: dict[str, Opinion] = field(default_factory=dict)

    @property
    def item(self) -> tuple[str, str, str]:
        """Its task, split and id."""
        return self.key[:3]

    @property
    def verdict(self) -> Verdict:
        """That of the judge, or of the majority of several."""
        verdicts = [opinion.verdict for opinion in self.opinions.values()]
        return verdicts[0] if len(verdicts) == 1 else majority_of(verdicts)

    @property
    def worth(self) -> float | None:
        """1, one half or 0 to the player; None where there is no verdict."""
        return WORTH.get(self.verdict)

    @property
    def unasked(self) -> bool:
        """Whether both answers are the same text, so that there was nothing to ask."""
        return self.verdict == "tie" and not any(opinion.said for opinion in self.opinions.values())

    @property
    def truth(self) -> str:
        """One of `TRUTHS`."""
        mine, other = self.right
        if mine is None or other is None:
            return UNKNOWN
        if mine:
            return BOTH if other else ONLY_PLAYER
        return ONLY_OPPONENT if other else NEITHER

    @property
    def longer_by(self) -> int | None:
        """How many characters the player's answer is longer."""
        mine, other = self.chars
        return None if mine is None or other is None else mine - other


class Played(Struct):
    """What a judge was asked, and what that took. A game that two categories share was paid once. None once a part is
    not known."""

    games: int = 0
    again: int = 0
    unread: int = 0
    prompt_tokens: int | None = 0
    tokens: int | None = 0
    seconds: float | None = 0.0
    usd: float | None = 0.0
    keys: set[Digest] = field(default_factory=set)

    def add(self, game: Game) -> None:
        """Take a game that was played; one that never came was not paid."""
        key = short(game.key)
        if game.void or (game.key and key in self.keys):
            return
        self.keys.add(key)
        self.games += 1
        self.again += game.retest > 0
        self.unread += game.said is None
        self.prompt_tokens = plus(self.prompt_tokens, game.prompt_tokens)
        self.tokens = plus(self.tokens, game.completion_tokens)
        self.seconds = plus(self.seconds, game.seconds)
        self.usd = plus(self.usd, game.usd)


class Heard:
    """The pairs of one judge step, in the order in which they came."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, tuple[str, str, str, int]], Pair] = {}
        self.judges: dict[str, str] = {}
        """The model of each judge."""
        self.played: dict[str, Played] = {}
        """What each judge was asked."""
        self.ratings: dict[str, Ratings] = {}
        """What each judge rated beside its verdicts."""
        self._players: dict[str, None] = {}
        self._opponents: dict[str, None] = {}

    def hear(self, row: VerdictRow) -> None:
        """Take what one judge says of a pair."""
        self.judges[row.judge] = row.judge_model
        played = self.played.setdefault(row.judge, Played())
        ratings = self.ratings.setdefault(row.judge, Ratings())
        for game in row.games:
            played.add(game)
            ratings.add(game)
        self._players[row.player.model] = None
        self._opponents[row.opponent.model] = None
        key = (row.task, row.split, row.id, row.sample)
        pair = self._pairs.get((row.category, key))
        if pair is None:
            pair = self._pairs[row.category, key] = _pair(row, key)
        said = tuple(game.said for game in row.games if not game.retest)
        pair.opinions[row.judge] = Opinion(row.verdict, row.again, said)

    @property
    def models(self) -> tuple[str, str]:
        """The player's and the opponent's; of a route all that answered."""
        return " or ".join(self._players), " or ".join(self._opponents)

    @property
    def whole(self) -> list[Pair]:
        """Every pair once, also where two categories ask its item."""
        once: dict[tuple[str, str, str, int], Pair] = {}
        for (_, key), pair in self._pairs.items():
            once.setdefault(key, pair)
        return list(once.values())

    def categories(self) -> dict[str, list[Pair]]:
        """The pairs of each category."""
        found: dict[str, list[Pair]] = {}
        for (category, _), pair in self._pairs.items():
            found.setdefault(category, []).append(pair)
        return found

    def tables(self) -> dict[str, list[Pair]]:
        """The categories, and all of them together where there are several."""
        found = self.categories()
        return found | {WHOLE: self.whole} if len(found) > 1 else found


def _pair(row: VerdictRow, key: tuple[str, str, str, int]) -> Pair:
    player, opponent = row.player, row.opponent
    return Pair(
        key=key,
        category=row.category,
        name=f"{row.step}/{row.id}",
        right=(_right(player), _right(opponent)),
        chars=(player.chars, opponent.chars),
        truncated=(player.truncated, opponent.truncated),
        groups=row.groups,
    )


def _right(side: Side) -> bool | None:
    return _PASSED.get(side.outcome)


def tally(pairs: Iterable[Pair]) -> Tally:
    """How many of the pairs have each verdict that counts."""
    verdicts = [pair.verdict for pair in pairs]
    return Tally(*(verdicts.count(one) for one in WORTH))


def by_item(pairs: Iterable[Pair]) -> list[list[float]]:
    """What the pairs of each item are worth, items without a verdict left out."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for pair in pairs:
        if pair.worth is not None:
            found.setdefault(pair.item, []).append(pair.worth)
    return list(found.values())


def lone_right(pairs: Iterable[Pair]) -> tuple[int, int]:
    """Of how many items the player alone, and the opponent alone, is right; of several pairs of an item the one that is
    more often. What can be verified of an item is counted once, for its samples are not independent."""
    leans: Counter[tuple[str, str, str]] = Counter()
    for pair in verifiable(pairs):
        leans[pair.item] += (pair.truth == ONLY_PLAYER) - (pair.truth == ONLY_OPPONENT)
    return sum(lean > 0 for lean in leans.values()), sum(lean < 0 for lean in leans.values())


def verifiable(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Those of which the task's scorer says who is right."""
    return (pair for pair in pairs if pair.truth != UNKNOWN)


def named(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Names of the first few."""
    return tuple(dict.fromkeys(pair.name for pair in pairs))[:_NAMED]
