"""Seeded, stratified subsets that are the same on every machine, whatever the order of the rows.

Each item's place in its stratum is a hash of (seed, task, id), so a subset is a property of the items, never of where
they stand in the file. Seats are given to strata by the quota method of Balinski and Young (1975): every stratum gets
its proportional share rounded down or up, as with largest remainders, and in addition a larger subset always contains
the smaller one, so that raising `n` keeps what was measured before.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence


def draw(strata: Mapping[str, str], n: int, *, seed: str, task: str) -> list[str]:
    """At most `n` of the ids in `strata` (id → stratum), in the mapping's order; all of them when `n` is larger."""
    if n < 1:
        raise ValueError(f"a sample has at least one item, not {n}")
    if n >= len(strata):
        return list(strata)
    members: dict[str, list[str]] = {}
    for item, stratum in strata.items():
        members.setdefault(stratum, []).append(item)
    sizes = {stratum: len(items) for stratum, items in members.items()}
    order = sorted(sizes, key=lambda stratum: _hash(seed, task, stratum))
    seats = allocate([sizes[stratum] for stratum in order], n)
    chosen: set[str] = set()
    for stratum, count in zip(order, seats, strict=True):
        chosen.update(sorted(members[stratum], key=lambda item: _hash(seed, task, item))[:count])
    return [item for item in strata if item in chosen]


def shuffled(ids: Iterable[str], *, seed: str, task: str) -> list[str]:
    """The ids in an order of their own that no order of theirs decides: taking the first few is a fair draw."""
    return sorted(ids, key=lambda item: _hash(seed, task, "shots", item))


def allocate(sizes: Sequence[int], n: int) -> list[int]:
    """Seats for strata of these sizes, `n` in all, each within one of `n * size / sum(sizes)` and at most its size.

    One seat after the other goes to the stratum with the largest size / (seats + 1) among those whose share at that
    house size is still above their seats; ties go to the earlier stratum.
    """
    total = sum(sizes)
    seats = [0] * len(sizes)
    ready = [(-float(size), index) for index, size in enumerate(sizes)]  # seat 1 is open to all
    heapq.heapify(ready)
    waiting: list[tuple[int, int]] = []  # (the house size from which the stratum may have its next seat, stratum)
    for house in range(1, n + 1):
        while waiting and waiting[0][0] <= house:
            index = heapq.heappop(waiting)[1]
            heapq.heappush(ready, (-sizes[index] / (seats[index] + 1), index))
        index = heapq.heappop(ready)[1]
        seats[index] += 1
        if seats[index] < sizes[index]:
            heapq.heappush(waiting, (seats[index] * total // sizes[index] + 1, index))
    return seats


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "surrogatepass")).digest()
