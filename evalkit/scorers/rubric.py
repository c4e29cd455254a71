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
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Contribution, Execution, Json, Sample, Score
from evalkit.scorers import bounded
from evalkit.scorers.plain import PlainScorer, whole_answer
from evalkit.scorers.rubric_answer import Answer, Check, Finding
from evalkit.scorers.rubric_checks import by_task, make

_CRITERION = ("name", "points", "check")
_EXAMPLE = "criteria: [{name: short, points: 30, check: {max_lines: 40}}]"
_EACH = "{name: cases, points: 5, each: true, at_most: 20, check: {count: {path: '$.cases[*]'}}}"
_EMPTY = "the answer is empty"

Scale = Literal["normalised", "raw"]


class Criterion(Struct, frozen=True):
    """One line of a rubric, ready to judge. `of` is the most that it gives; None where each hit counts without end."""

    name: str
    points: float
    check: Check
    of: float | None

    def given(self, finding: Finding) -> Contribution:
        """The points for what was found, which is known."""
        points = (finding.amount or 0.0) * self.points
        if self.of is not None:
            points = min(points, self.of)
        return Contribution(points, self.of, finding.reason if finding.reason and points != self.of else None)


class Marks(Struct, frozen=True):
    """What a rubric made of one answer: `value` is the share of all points or, on the raw scale, their sum.

    It is None where a criterion cannot be judged; `void` says then why.
    """

    value: float | None
    criteria: dict[str, Contribution] = {}
    void: str | None = None

    @property
    def reason(self) -> str | None:
        """What was missing, criterion by criterion, or why nothing is known."""
        lost = (f"{name}: {one.reason}" for name, one in self.criteria.items() if one.reason and one.of is not None)
        return self.void or "; ".join(lost) or None


class Rubric(Struct, frozen=True):
    """A rubric, ready to judge. `turn` counts the turns of a chat from 1; None is the last. `judge` is who is asked."""

    criteria: tuple[Criterion, ...]
    scale: Scale = "normalised"
    turn: int | None = None
    judge_name: str | None = None

    @staticmethod
    def make(options: dict[str, Json], where: str) -> Rubric:
        """The rubric that options say: `criteria`, and `scale`, `turn`, `judge`, with what describes it. `where` stands
        before each message. Raises SpecError."""
        unknown = sorted(set(options) - {*_OPTIONS, *_DESCRIPTION})
        if unknown:
            raise SpecError(f"{where} has no option '{unknown[0]}'", hint=f"known: {', '.join(_OPTIONS)}")
        scale, turn, judge = options.get("scale", "normalised"), options.get("turn"), options.get("judge")
        if scale not in ("normalised", "raw"):
            raise SpecError(f"{where}.scale is `normalised` or `raw`, not {scale!r}")
        if turn is not None and (isinstance(turn, bool) or not isinstance(turn, int) or turn < 1):
            raise SpecError(f"{where}.turn is a whole number from 1, not {turn!r}")
        if judge is not None and not isinstance(judge, str):
            raise SpecError(f"{where}.judge is the name of a judge, not {judge!r}")
        made = criteria(options.get("criteria"), f"{where}.criteria")
        endless = next((one.name for one in made if one.of is None), None)
        if endless is not None and scale == "normalised":
            message = f"{where}: '{endless}' gives points without end, so there is no share of all points"
            raise SpecError(message, hint="give it `at_most`, or the rubric `scale: raw`")
        return Rubric(made, scale, turn, judge)

    @property
    def oracle(self) -> bool:
        """Whether it reads a verdict or a gold answer, which nobody has who picks among answers."""
        return any(one.check.oracle for one in self.criteria)

    @property
    def questions(self) -> tuple[tuple[str, str], ...]:
        """What a judge is asked: the criterion's name and the question, to be answered by yes or no."""
        return tuple((one.name, one.check.question) for one in self.criteria if one.check.question is not None)

    @property
    def shallow(self) -> bool:
        """Whether it measures nothing but length and keywords."""
        return all(one.check.shallow for one in self.criteria)

    def judge(self, answer: Answer, verdict: Score | None, answers: Mapping[str, float | None]) -> Marks:
        """The marks of an answer. `verdict` is that of the task's own scorer; `answers` maps a criterion's name to the
        judge's share of yes, in [0, 1], None where it is not known. An empty answer earns nothing."""
        if not answer.text.strip():
            nothing = {one.name: Contribution(0.0, one.of, _EMPTY) for one in self.criteria}
            return Marks(0.0, nothing)
        earned = dict[str, Contribution]()
        for one in self.criteria:
            try:
                found = _found(one, answer, verdict, answers)
            except bounded.Exceeded as error:
                return Marks(None, void=f"the criterion '{one.name}' failed: {error.reason}")
            if found.amount is None:
                return Marks(None, void=f"the criterion '{one.name}' is not known: {found.reason}")
            earned[one.name] = one.given(found)
        return Marks(self._value(earned), earned)

    def _value(self, earned: dict[str, Contribution]) -> float:
        points = math.fsum(one.points for one in earned.values())
        if self.scale == "raw":
            return points
        return min(1.0, points / math.fsum(one.of or 0.0 for one in self.criteria))


def _found(criterion: Criterion, answer: Answer, verdict: Score | None, answers: Mapping[str, float | None]) -> Finding:
    if criterion.check.question is None:
        return criterion.check.find(answer, verdict)
    share = answers.get(criterion.name)
    if share is None:
        return Finding(None, "the judge gave no answer")
    return Finding(share, "" if share >= 1.0 else f"the judge says yes in {share:.0%}")


_OPTIONS = ("criteria", "scale", "turn", "judge")
_DESCRIPTION = ("evalkit", "rubric", "about", "source", "license", "meta")


class RubricScorer(PlainScorer):
    """The share of all points that an answer earns; what each criterion gave stands beside it.

    Options: those of a rubric; `rubric: NAME` in a task file is replaced by them when it is read. A score is in [0, 1],
    of the last answer, without a judge: what is not so can choose among candidates and not score a task. An empty
    answer earns nothing: it would meet every limit of length. Where one criterion cannot be judged the answer is void,
    for its sum is not known.
    """

    @staticmethod
    def rubric(options: dict[str, Json], where: str) -> Rubric:
        """The rubric on its own, also one that can only choose among candidates. Raises SpecError."""
        return Rubric.make(options, where)

    @staticmethod
    def criterion(written: Json, where: str) -> Criterion:
        """One criterion. Raises SpecError."""
        return _criterion(written, where)

    def __init__(self, options: dict[str, Json]) -> None:
        if set(options) == {"answer"} and isinstance(options["answer"], str):
            raise SpecError(f"the rubric '{options['answer']}' is not known here", hint=_EXAMPLE)
        name = f"rubric {options['rubric']}" if "rubric" in options else "score.rubric"
        self._rubric = Rubric.make(options, name)
        if self._rubric.questions:
            raise SpecError(f"{name} asks a judge: it can select candidates, not score a task yet")
        if self._rubric.scale == "raw":
            raise SpecError(f"{name} has the raw scale, and the score of a task is in [0, 1]", hint="scale: normalised")
        if self._rubric.turn is not None:
            hint = "leave `turn` out; a selector can read an earlier turn"
            raise SpecError(
                f"{name} reads turn {self._rubric.turn}, and a task is scored by its last answer", hint=hint
            )
        if any(one.check.find is by_task for one in self._rubric.criteria):
            raise SpecError(
                f"{name} reads the verdict of the task's scorer, which is this rubric", hint="name a scorer"
            )
        self.reads_gold = self._rubric.oracle

    def check(self, sample: Sample) -> None:
        """Raises DataError where a scorer that a criterion names cannot score the sample."""
        for one in self._rubric.criteria:
            if one.check.needs is not None:
                one.check.needs(sample)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        answer = Answer(completion.text, whole_answer(sample, completion), sample)
        marks = self._rubric.judge(answer, None, {})
        if marks.void is not None:
            return Score("void", None, reason=f"scorer: {marks.void}")
        if not answer.text.strip():
            return Score("score", 0.0, error_class="no_answer", criteria=marks.criteria, reason=_EMPTY)
        return Score("score", marks.value, criteria=marks.criteria, reason=marks.reason)


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
    if not isinstance(written, dict) or set(written) - {"each", "at_most"} != set(_CRITERION):
        raise SpecError(f"{where} needs name, points and check, and may have each and at_most", hint=_EXAMPLE)
    name, points = written["name"], written["points"]
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{where}.name is a text, not {name!r}")
    _check_points(points, f"{where}.points")
    try:
        check = make(written["check"])
    except SpecError as error:
        raise SpecError(f"{where}.check {error.message}", hint=error.hint) from error
    return Criterion(name, float(points), check, _most(written, check, where))


def _most(written: dict[str, Json], check: Check, where: str) -> float | None:
    """The most that a criterion gives: its points, or for each hit up to `at_most`."""
    each = written.get("each", False)
    if not isinstance(each, bool):
        raise SpecError(f"{where}.each is true or false, not {each!r}")
    if each != check.counts:
        message = "gives points for each hit: it needs `each: true`" if check.counts else "counts nothing"
        raise SpecError(f"{where}.check {message}", hint=_EACH)
    if not each:
        if "at_most" in written:
            raise SpecError(f"{where}.at_most is for points for each hit", hint=_EACH)
        return float(written["points"])
    if "at_most" not in written:
        return None
    _check_points(written["at_most"], f"{where}.at_most")
    return float(written["at_most"])


def _check_points(points: Json, where: str) -> None:
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 < points < math.inf:
        raise SpecError(f"{where} is a number above 0, not {points!r}")
