"""Weighted criteria: an answer earns the points of each that it meets.

    score:
      rubric:
        criteria:
          - {name: returns, points: 20, check: python.has_return}
          - {name: edges, points: 30, check: {regex: '\\b(None|len\\(|== 0|if not)'}}
          - {name: short, points: 30, check: {max_lines: 40}}

`rubric_checks.py` has the vocabulary. A rubric measures form. Whether more points mean a better answer is a question of
its own: it has to be asked of answers whose worth is known.
"""

from __future__ import annotations

import math

from msgspec import Struct

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Contribution, Execution, Json, Sample, Score
from evalkit.scorers import bounded
from evalkit.scorers.plain import PlainScorer, whole_answer
from evalkit.scorers.rubric_checks import Answer, Check, make

_KEYS = {"name", "points", "check"}
_EXAMPLE = "criteria: [{name: short, points: 30, check: {max_lines: 40}}]"


class Criterion(Struct, frozen=True):
    """One line of a rubric, ready to judge."""

    name: str
    points: float
    check: Check


class RubricScorer(PlainScorer):
    """The share of all points that an answer earns; what each criterion gave stands beside it.

    Option `criteria`: a list of `name`, `points` (above 0) and `check`. An empty answer earns nothing: it would meet
    every limit of length. Where one criterion cannot be judged the answer is void, for its sum is not known.
    """

    def __init__(self, options: dict[str, Json]) -> None:
        if set(options) == {"answer"} and isinstance(options["answer"], str):  # `rubric: NAME`
            message = f"the rubric '{options['answer']}' cannot be named yet: rubrics in files are not yet available"
            raise SpecError(message, hint=_EXAMPLE)
        unknown = sorted(set(options) - {"criteria"})
        if unknown:
            raise SpecError(f"score.rubric has no option '{unknown[0]}'", hint="known: criteria")
        self._criteria = criteria(options.get("criteria"), "score.rubric.criteria")
        self._total = math.fsum(one.points for one in self._criteria)

    def check(self, sample: Sample) -> None:
        """Every sample can be scored: a rubric reads nothing of the row."""

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        if not completion.text.strip():
            nothing = {one.name: Contribution(0.0, one.points, "the answer is empty") for one in self._criteria}
            return Score("score", 0.0, error_class="no_answer", criteria=nothing, reason="the answer is empty")
        answer = Answer(completion.text, whole_answer(sample, completion))
        earned = dict[str, Contribution]()
        for one in self._criteria:
            try:
                found = one.check(answer)
            except bounded.Exceeded as error:
                return Score("void", None, reason=f"scorer: the criterion '{one.name}' failed: {error.reason}")
            earned[one.name] = Contribution(found.share * one.points, one.points, found.reason or None)
        value = min(1.0, math.fsum(one.points for one in earned.values()) / self._total)
        lost = "; ".join(f"{name}: {one.reason}" for name, one in earned.items() if one.reason)
        return Score("score", value, criteria=earned, reason=lost or None)


def criteria(written: Json, where: str) -> tuple[Criterion, ...]:
    """The criteria of a rubric. `where` stands before each message. Raises SpecError."""
    if not isinstance(written, list) or not written:
        raise SpecError(f"{where} is a list of criteria", hint=_EXAMPLE)
    found: dict[str, Criterion] = {}
    for number, one in enumerate(written):
        made = _criterion(one, f"{where}[{number}]")
        if made.name in found:
            raise SpecError(f"{where}[{number}]: the name '{made.name}' is there twice")
        found[made.name] = made
    return tuple(found.values())


def _criterion(written: Json, where: str) -> Criterion:
    if not isinstance(written, dict) or set(written) != _KEYS:
        raise SpecError(f"{where} needs name, points and check, and nothing else", hint=_EXAMPLE)
    name, points = written["name"], written["points"]
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{where}.name is a text, not {name!r}")
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < math.inf:
        raise SpecError(f"{where}.points is a number above 0, not {points!r}")
    try:
        check = make(written["check"])
    except SpecError as error:
        raise SpecError(f"{where}.check {error.message}", hint=error.hint) from error
    return Criterion(name, float(points), check)
