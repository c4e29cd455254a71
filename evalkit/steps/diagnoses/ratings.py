"""What judges rate beside their verdict, and whether the verdict follows from it."""

from __future__ import annotations

from msgspec import Struct, field

from evalkit.core.verdicts import Game


class Rated(Struct):
    """What one judge gave by one criterion, summed over games."""

    games: int = 0
    player: float = 0.0
    opponent: float = 0.0


class Ratings(Struct):
    """The ratings of one judge. Of the `games` with ratings `against` have a winner that is not the side with the
    higher sum, or a tie of unequal sums."""

    games: int = 0
    against: int = 0
    criteria: dict[str, Rated] = field(default_factory=dict)

    def add(self, game: Game) -> None:
        """Take a game; one without ratings or without a verdict says nothing."""
        if not game.ratings or game.said is None:
            return
        self.games += 1
        lead = sum(first - second for first, second in game.ratings.values())
        self.against += game.said != ("first" if lead > 0 else "second" if lead < 0 else "tie")
        for name, given in game.ratings.items():
            rated = self.criteria.setdefault(name, Rated())
            mine, other = given[::-1] if game.swapped else given
            rated.games += 1
            rated.player += mine
            rated.opponent += other
