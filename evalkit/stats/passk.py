"""k of n answers to an item: does one pass, do all pass, does the most frequent answer pass?

Sources: Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374), section 2.1, for
pass@k; Yao et al. 2024, "τ-bench" (arXiv 2406.12045), for pass^k; Wang et al. 2022, "Self-Consistency" (arXiv
2203.11171), for the vote. All three are the mean over every choice of k of the n answers, computed with whole numbers
and rounded once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import lru_cache


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k answers passes: 1 - C(n - c, k) / C(n, k) from n answers of which c passed.

    Raises ValueError where it is not defined: k above n (fewer answers than are asked about) or below 1.
    """
    _check("pass@", n, k)
    _check_passed(n, c)
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def pass_hat_k(n: int, c: int, k: int) -> float:
    """pass^k, the chance that all of k answers pass: C(c, k) / C(n, k). Defined where `pass_at_k` is."""
    _check("pass^", n, k)
    _check_passed(n, c)
    return float(Fraction(math.comb(c, k), math.comb(n, k)))


def maj_at_k(answers: Sequence[Hashable | None], gold_right: Sequence[bool], k: int) -> float:
    """maj@k, the chance that the most frequent of k answers is right.

    `gold_right` has the verdict of each answer; equal answers that were judged differently count with their mean.
    Answers tied for the most votes share: each counts equally. None is no answer and never wins, unless all k are None.
    Nothing is sampled. Raises ValueError where k is above the number of answers or below 1.
    """
    n = len(answers)
    _check("maj@", n, k)
    votes: Counter[Hashable | None] = Counter(answers)
    right: Counter[Hashable | None] = Counter()
    for answer, passed in zip(answers, gold_right, strict=True):
        right[answer] += passed
    nothing = (votes.pop(None, 0), right.pop(None, 0))
    return _share_right(tuple(sorted((count, right[answer]) for answer, count in votes.items())), nothing, k)


def _check(name: str, n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"{name}{k} needs at least {max(k, 1)} answers to each item, there are {n}")


def _check_passed(n: int, c: int) -> None:
    if not 0 <= c <= n:
        raise ValueError(f"{c} of {n} answers cannot have passed")


@lru_cache(maxsize=4096)  # many items have the same counts
def _share_right(groups: tuple[tuple[int, int], ...], nothing: tuple[int, int], k: int) -> float:
    """Over all choices of k answers, the share whose vote is right, from (votes, right ones) of each distinct answer.

    A choice where each of j tied answers has t votes adds (sum of their shares right) / j. Such choices are counted for
    each t by going through the distinct answers once, keeping for each (answers chosen, ties) the number of choices and
    the sum of their shares right. That takes about n·k² steps and never lists a choice.
    """
    blanks, blanks_right = nothing
    found = Fraction(_part_right(blanks, blanks_right, k), k)  # all k are None
    for top in range(1, min(k, max((votes for votes, _ in groups), default=0)) + 1):
        for tied, weight in enumerate(_weights(groups, blanks, k, top)):
            if tied:
                found += Fraction(weight, top * tied)
    return float(found / math.comb(blanks + sum(votes for votes, _ in groups), k))


def _weights(groups: tuple[tuple[int, int], ...], blanks: int, k: int, top: int) -> list[int]:
    """By the number of tied answers: `top` times the sum of their shares right, where none has more votes."""
    ties = min(k // top, sum(votes >= top for votes, _ in groups))
    ways = [[math.comb(blanks, size)] + [0] * ties for size in range(k + 1)]
    weights = [[0] * (ties + 1) for _ in range(k + 1)]
    for votes, right in groups:
        below = [math.comb(votes, size) for size in range(min(top - 1, votes) + 1)]
        at_top, right_at_top = math.comb(votes, top), _part_right(votes, right, top)
        for size in range(k, -1, -1):  # downwards: what is read has not yet seen this answer
            for tied in range(ties, -1, -1):
                way = sum(ways[size - more][tied] * times for more, times in enumerate(below[: size + 1]))
                weight = sum(weights[size - more][tied] * times for more, times in enumerate(below[: size + 1]))
                if tied and size >= top:
                    before = ways[size - top][tied - 1]
                    way += before * at_top
                    weight += weights[size - top][tied - 1] * at_top + before * right_at_top
                ways[size][tied], weights[size][tied] = way, weight
    return weights[k]


def _part_right(votes: int, right: int, size: int) -> int:
    """C(votes, size) · right / votes · size, which is a whole number."""
    return right * math.comb(votes - 1, size - 1) if votes else 0
