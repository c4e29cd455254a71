"""Several answers to one item: pass@k over items, and how each answer in turn did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from evalkit.core.types import SampleRow
from evalkit.report.results import Attempt, Rate
from evalkit.stats.passk import pass_at_k

_KS = (1, 2, 5, 10, 20, 50, 100)


class AttemptTally(Struct):
    """Scored answers by their place among the answers to one item."""

    scored: Counter[int] = field(default_factory=Counter)
    passed: Counter[int] = field(default_factory=Counter)

    def add(self, row: SampleRow) -> None:
        """A row that was judged: passed or failed."""
        self.scored[row.sample] += 1
        self.passed[row.sample] += row.outcome == "pass"

    def measure(self) -> tuple[Attempt, ...]:
        """Nothing where each item has one answer: the score says it already."""
        if set(self.scored) <= {0}:
            return ()
        return tuple(Attempt(place, self.scored[place], self.passed[place]) for place in sorted(self.scored))


def ks_for(most: int) -> tuple[int, ...]:
    """The k of which pass@k is told where no item has more than `most` answers."""
    return tuple(k for k in _KS if k <= most) if most > 1 else ()


def pass_at_ks(counts: Sequence[tuple[int, int]], rate: Callable[[Sequence[float]], Rate]) -> dict[str, Rate]:
    """pass@k by k, from (answers, passed) of each item: over the items that have k answers, which `Rate.n` counts."""
    found: dict[str, Rate] = {}
    for k in ks_for(max((n for n, _ in counts), default=0)):
        found[str(k)] = rate([pass_at_k(n, c, k) for n, c in counts if n >= k])
    return found
