"""The types of `results.json`: every number of a run. `collect.py` computes them, `schema/` describes the file."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.errors import DataError
from evalkit.core.types import Json
from evalkit.stats.intervals import Method

VERSION = 1

_Bounds = tuple[float, float]
_AGAIN = "`evalkit report RUN` writes it again from the run's samples"


class Rate(Struct, frozen=True):
    """A mean over `n` items with its interval; None where n is 0."""

    n: int
    score: float | None
    interval: _Bounds | None
    method: Method | None


class Answers(Struct, frozen=True):
    """Answers, not items: `candidates` are all that were generated, `n` the selected ones: scored, void or unscored.

    `passed` are the scored answers whose outcome is a pass; where scores are shares, none is. `unscored` ones were
    collected for a judge. Of the candidates, `weighed` were not generated: the model said how likely given
    continuations are.
    """

    candidates: int
    n: int
    scored: int
    passed: int
    void: int
    unscored: int = 0
    weighed: int = 0


class Tests(Struct, frozen=True):
    """Unit tests of all scored programs together."""

    passed: int
    total: int
    share: float | None


class Tokens(Struct, frozen=True):
    """Summed over all candidates; None where a back end did not count."""

    prompt: int | None
    completion: int | None


class Seconds(Struct, frozen=True):
    """Summed over all candidates: shares of their batches of answers that were generated, of those that were weighed,
    and wall time of programs in the sandbox."""

    generation: float | None
    sandbox: float | None
    weighing: float | None = None


class LimitUse(Struct, frozen=True):
    """How near scored programs came to their time limits.

    `near` used at least four fifths of the processor time or of the wall time that they had, or timed out; of these
    `timeouts` ended by it and `passed` passed all the same. `cpu_s` and `wall_s` are the smallest and the largest limit
    that held, None without programs. `broken_references` counts items whose reference program does not pass, so that
    the declared limits held.
    """

    programs: int = 0
    near: int = 0
    timeouts: int = 0
    passed: int = 0
    cpu_s: _Bounds | None = None
    wall_s: _Bounds | None = None
    broken_references: int = 0


class Reading(Struct, frozen=True):
    """What another rule makes of the scored answers that it was asked about: `part` of `of`, summed over them.

    `otherwise` counts answers that pass by it and not by the score, or the other way round; None where it gives shares.
    """

    answers: int
    part: float
    of: int
    share: float | None
    otherwise: int | None


class CriterionUse(Struct, frozen=True):
    """What a rubric's criterion gave to the scored answers: `points` of `of`, summed; `whole` answers got all of it."""

    answers: int
    points: float
    of: float
    share: float | None
    whole: int


class Attempt(Struct, frozen=True):
    """The answers that were the `sample`-th to their items, from 0: how many were judged, how many passed."""

    sample: int
    judged: int
    passed: int


class Metrics(Struct, frozen=True, rename={"pass_at_1": "pass@1", "pass_at_k": "pass@k"}):
    """What else was measured. `truncated` answers hit max_tokens; `classes` counts failed answers by their class.

    `pass_at_k` (by k) and `by_answer` are there where items have several answers.
    """

    pass_at_1: Rate
    answers: Answers
    tests: Tests
    tokens: Tokens
    seconds: Seconds
    truncated: int
    truncated_failed: int
    no_answer: int
    classes: dict[str, int]
    usd: float | None
    limits: LimitUse = LimitUse()
    readings: dict[str, Reading] = {}
    criteria: dict[str, CriterionUse] = {}
    pass_at_k: dict[str, Rate] = {}
    by_answer: tuple[Attempt, ...] = ()

    @property
    def generated(self) -> bool:
        """Whether any answer was generated: of weighed ones none can be cut off."""
        return not self.answers.weighed or self.answers.candidates > self.answers.weighed + self.answers.void


class Measure(Struct, frozen=True):
    """The block M of `results.json`. `n`, `scored`, `void` and `unscored` count items.

    An item is void when all its answers are, and unscored when answers came back and none of them is scored.
    """

    n: int
    scored: int
    void: int
    score: float | None
    interval: _Bounds | None
    method: Method | None
    metrics: Metrics
    unscored: int = 0


Groups = dict[str, dict[str, Measure]]


class MacroMean(Struct, frozen=True):
    """The mean of the scores of `groups` groups, each group counted alike. Without an interval, `reason` says why."""

    groups: int
    score: float | None
    interval: _Bounds | None
    method: Method | None
    reason: str | None = None


class Means(Struct, frozen=True):
    """The two means over groups: `micro` counts each item alike, `macro` each group."""

    micro: Rate
    macro: MacroMean


class Splits(Struct, frozen=True):
    """A task of which several splits were asked."""

    splits: dict[str, Measure]
    means: Means


class CategoryMeasure(Measure, frozen=True, kw_only=True):
    """A category, broken down by the fields its task names. `group_means` has the two means over each field."""

    task: str
    split: str
    groups: Groups
    group_means: dict[str, Means] = {}


class Macro(Struct, frozen=True):
    """The mean of category scores, each category counted alike."""

    score: float | None
    categories: int


class StepResults(Struct, frozen=True, kw_only=True):
    """One step. `all` is the micro mean: each item counts alike. `order` lists the categories as the spec has them.

    `splits` holds the tasks of which several splits were asked, by the task's name.
    """

    kind: Literal["bench"] = "bench"
    model: str
    order: tuple[str, ...]
    all: Measure
    macro: Macro
    categories: dict[str, CategoryMeasure]
    groups: Groups
    group_means: dict[str, Means] = {}
    splits: dict[str, Splits] = {}


class Finding(Struct, frozen=True, kw_only=True):
    """A rule of `reports/findings.yaml` that holds for a step: what was found, what may be the cause, what to do.

    `values` are the raw numbers of the evidence. `samples` are some of the `of_samples` that are meant.
    """

    code: str
    step: str
    severity: Literal["info", "warning", "serious"]
    title: str
    evidence: str
    causes: tuple[str, ...] = ()
    advice: str = ""
    values: dict[str, Json] = {}
    samples: tuple[str, ...] = ()
    of_samples: int = 0


class Results(Struct, frozen=True, kw_only=True):
    """`results.json`. `stamps` are the sentences that must stand wherever these numbers stand.

    `order` lists the steps that asked something; `diagnoses` are those that explain them.
    """

    evalkit: int = VERSION
    name: str
    stamps: tuple[str, ...]
    order: tuple[str, ...]
    steps: dict[str, StepResults]
    diagnoses: dict[str, Diagnosis] = {}
    findings: tuple[Finding, ...] = ()


def encode(results: Results) -> bytes:
    """Strict JSON, keys sorted, floats as they are."""
    return msgspec.json.format(msgspec.json.encode(results, order="sorted"), indent=2) + b"\n"


def decode(content: bytes) -> Results:
    """The results in a `results.json`. Raises DataError for what is none, or is of another version."""
    try:
        found = msgspec.json.decode(content, type=Results)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"results.json cannot be read: {error}", hint=_AGAIN) from error
    if found.evalkit != VERSION:
        raise DataError(f"results.json cannot be read: it is of version {found.evalkit}, not of {VERSION}", hint=_AGAIN)
    return found
