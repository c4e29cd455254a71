"""What the verdicts of a `judge` step come to, before it is laid out in tables and words."""

from __future__ import annotations

from msgspec import Struct

from evalkit.stats.agreement import Agreement
from evalkit.stats.judging import Position
from evalkit.steps.diagnoses.facts import WHOLE
from evalkit.steps.diagnoses.heard import Played
from evalkit.steps.diagnoses.ratings import Ratings
from evalkit.steps.diagnoses.standing import Overall, Standing
from evalkit.steps.diagnoses.trust import Lengths, Truth


class DuelFound(Struct, frozen=True):
    """Everything that the verdicts of a step give.

    `categories`, `lengths` and `truths` are by category, the last two with all pairs under `WHOLE` where there are
    several. `places`, `retests`, `played` and `ratings` are by judge; `alone` has each judge of a panel by itself.
    `groups` are by field and value, without fields that have one value only, as many as items, or too many for a table.
    `one_kind` has the value that all pairs of a category share, by category and field.
    """

    player: str
    opponent: str
    judges: dict[str, str]
    categories: dict[str, Standing]
    overall: Overall
    lengths: dict[str, Lengths]
    truths: dict[str, Truth]
    places: dict[str, Position]
    retests: dict[str, Agreement]
    panel: dict[tuple[str, str], Agreement]
    played: dict[str, Played]
    ratings: dict[str, Ratings]
    alone: dict[str, tuple[Standing, Truth | None]]
    groups: dict[str, dict[str, Standing]]
    one_kind: dict[tuple[str, str], str]

    @property
    def shown(self) -> dict[str, Standing]:
        """The categories, and all together where there are several."""
        return self.categories | {WHOLE: self.overall.pooled} if len(self.categories) > 1 else self.categories
