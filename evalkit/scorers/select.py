"""Selectors: how a policy picks one of several candidates.

first, random            no value: the candidate is taken by its place, or drawn by the policy's seed
shortest, longest        by the characters of the answer
logprob                  by the mean log-probability of the answer's tokens, over all turns of a chat
reward                   by the score of a reward model that was recorded beside the answer
majority                 by how many candidates give the same answer (self-consistency; Wang et al. 2022, 2203.11171)
rubric                   by the points of a rubric, which reads the answer alone
tests                    the oracle: by the verdict itself. No policy can do that; it is the ceiling of all of them
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from evalkit.core.selection import Candidate, Valued
from evalkit.core.types import Completion, Json, Sample
from evalkit.scorers.rubric import RubricScorer


class _Plain:
    """A selector without options that sees no verdicts."""

    oracle = False

    def __init__(self, options: dict[str, Json]) -> None:
        """Nothing to be set."""


class First(_Plain):
    """No candidate is better than another: the tie is all there is, and it goes to the first."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        return [Valued(None) for _ in candidates]


class AtRandom(First):
    """The same, with the tie broken by drawing."""


class Shortest(_Plain):
    """The fewest characters."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        return [Valued(-float(len(one.completion.text))) for one in candidates]


class Longest(_Plain):
    """The most characters."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        return [Valued(float(len(one.completion.text))) for one in candidates]


class LogProbability(_Plain):
    """The mean log-probability (natural logarithm) of all tokens that the model wrote; none where one is unknown."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        return [_mean_logprob([*one.earlier, one.completion]) for one in candidates]


def _mean_logprob(turns: Sequence[Completion]) -> Valued:
    if len(turns) == 1:
        known = turns[0].mean_logprob
        return Valued(known, reason=None if known is not None else "its log-probability is not known")
    total, tokens = 0.0, 0
    for turn in turns:
        if turn.mean_logprob is None or turn.completion_tokens is None:
            return Valued(None, reason="the log-probability of a turn is not known")
        total += turn.mean_logprob * turn.completion_tokens
        tokens += turn.completion_tokens
    return Valued(total / tokens) if tokens else Valued(None, reason="nothing was written")


class Reward(_Plain):
    """The recorded score of a reward model."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        known = (one.completion.reward for one in candidates)
        return [Valued(one, reason=None if one is not None else "no reward is recorded") for one in known]


class Majority(_Plain):
    """How many candidates give the same answer as this one; a candidate without an answer has no vote and gets none."""

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        votes = Counter(one.answer for one in candidates if one.answer is not None)
        return [
            Valued(float(votes[one.answer])) if one.answer is not None else Valued(0.0, reason="no answer was found")
            for one in candidates
        ]


class ByRubric(_Plain):
    """The points of a rubric. Options: those of the rubric."""

    def __init__(self, options: dict[str, Json]) -> None:
        self._rubric = RubricScorer(options)

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        scores = [self._rubric.score(sample, one.completion, None) for one in candidates]
        return [Valued(score.value, score.criteria, score.reason) for score in scores]


class Oracle(_Plain):
    """The verdict itself, and among failures how many tests passed."""

    oracle = True

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        return [_verdict(one) for one in candidates]


def _verdict(candidate: Candidate) -> Valued:
    score = candidate.score
    if score is None or score.value is None:
        return Valued(None, reason="it has no verdict")
    if not score.tests_total or score.value >= 1.0:
        return Valued(score.value)
    return Valued(min(score.value + (score.tests_passed or 0) / score.tests_total, math.nextafter(1.0, 0.0)))
