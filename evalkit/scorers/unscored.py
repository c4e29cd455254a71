"""Answers that are collected and judged later: `score: {unscored: {}}` for tasks that only a judge can score."""

from __future__ import annotations

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score
from evalkit.scorers.plain import PlainScorer


class UnscoredScorer(PlainScorer):
    """Gives every answer the outcome `unscored`: it came back, no number says how good it is, and nothing is void."""

    reads_gold = False

    def __init__(self, options: dict[str, Json]) -> None:
        if options:
            raise SpecError(f"score.unscored has no option '{next(iter(options))}'", hint="write `unscored: {}`")

    def check(self, sample: Sample) -> None:
        """Any sample will do."""

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        return Score(outcome="unscored", value=None, reason="collected, not scored: needs a judge")
