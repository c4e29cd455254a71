"""Multiple choice: the model weighs the options (`by: loglikelihood`), or writes and its letter is read (`by: letter`).

    score: {choice: {options: choices, answer: answer, by: loglikelihood, metric: acc_norm}}
    score: {choice: {options: choices, answer: answer, by: loglikelihood, continuation: ' {{ label }}'}}
    score: {choice: {options: choices, answer: answerKey, by: letter}}
    score: {choice: {right: Correct, wrong: Incorrect, best: Best, by: loglikelihood, metric: mc2}}

How options and the right one are read from a row is in `options.py`, how a letter is found in `letters.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from evalkit.core.errors import DataError, SpecError
from evalkit.core.templates import render
from evalkit.core.types import Completion, Execution, Json, Sample, Score, Share
from evalkit.scorers import letters
from evalkit.scorers.gold import verdict
from evalkit.scorers.options import LETTERS, Choices, read
from evalkit.scorers.plain import PlainScorer

_METRICS = ("acc", "acc_norm", "mc1", "mc2")
_BY = ("loglikelihood", "letter", "label")
_NAMES = ("options", "labels", "answer", "right", "wrong", "best", "separator")
_WEIGHING = ("continuation", "metric")


class ChoiceScorer(PlainScorer):
    """One of several options is right, or more than one.

    Options: `options`, the field with the texts (a list, or a map with `text` and `label`), `labels`, the field with
    their labels where they are not in it, `answer`, the field or template that says which is right; or `right`, `wrong`
    and `best`, fields with the options apart (a text is split at `separator`, by default `;`). `by`: `loglikelihood`
    (default), `letter` (the prompt shows the options as A, B, C, ... in their order) or `label` (with the data's own
    labels).

    By log-likelihood: `continuation`, a template over the row, `option` and `label` (default `' {{ option }}'`), is
    weighed after the prompt. `metric`: `acc`, the likeliest option is right; `acc_norm`, the likeliest for each
    character of the continuation without the space that begins it; `mc1`, as `acc` among the best right option and the
    wrong ones; `mc2`, the right options' share of the probability of all, a score and no verdict. Of equal ones the
    first in the row's order counts. What the other metric of the pair says is a reading.
    """

    def __init__(self, options: dict[str, Json]) -> None:
        _check(options)
        self._options = options
        self._by = options.get("by", "loglikelihood")
        self._continuation = options.get("continuation", " {{ option }}")
        self._metric = options.get("metric", "mc1" if "right" in options else "acc")

    def check(self, sample: Sample) -> None:
        """Raises DataError for a row whose options or right answer cannot be told."""
        choices = self._choices(sample)
        if self._by == "loglikelihood" and not all(self._continuations(sample, choices)):
            raise DataError("an option is empty: there is nothing to weigh", where=f"item {sample.id} of {sample.task}")

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return self._continuations(sample, self._choices(sample)) if self._by == "loglikelihood" else ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        choices = self._choices(sample)
        if self._by != "loglikelihood":
            return letters.score(choices, completion)
        logprobs = [known.logprob for known in completion.likelihoods]
        if len(logprobs) != len(choices.texts):
            count = f"{len(logprobs)} likelihoods for {len(choices.texts)} options"
            return Score("void", None, reason=f"scorer: {count}")
        if self._metric in ("mc1", "mc2"):
            return _truth(choices, logprobs, self._metric)
        return self._accuracy(choices, logprobs, self._continuations(sample, choices))

    def _accuracy(self, choices: Choices, logprobs: Sequence[float], continuations: Sequence[str]) -> Score:
        each = [
            value / max(1, len(text.removeprefix(" "))) for value, text in zip(logprobs, continuations, strict=True)
        ]
        places = {"acc": _first_of_most(logprobs), "acc_norm": _first_of_most(each)}
        place = places.pop(self._metric)
        score = verdict(place in choices.right, choices.labels[place], self._metric, f"expected {choices.expected}")
        if "option" not in self._continuation:  # letters are all of one length
            return score
        readings = {name: Share(float(other in choices.right)) for name, other in places.items()}
        return _with_readings(score, readings)

    def _choices(self, sample: Sample) -> Choices:
        choices = read(self._options, sample)
        if self._by == "letter" and choices.named:  # the data's labels say which one is right; the prompt shows letters
            return Choices(choices.texts, tuple(LETTERS[: len(choices.texts)]), choices.right)
        return choices

    def _continuations(self, sample: Sample, choices: Choices) -> tuple[str, ...]:
        what, where = f"score.choice.continuation of task {sample.task}", f"item {sample.id}"
        return tuple(
            render(self._continuation, {**sample.row, "option": text, "label": label}, what=what, where=where)
            for text, label in zip(choices.texts, choices.labels, strict=True)
        )


def _truth(choices: Choices, logprobs: Sequence[float], metric: str) -> Score:
    """TruthfulQA's metrics; several options are right, the first of them the best."""
    best, *others = choices.right
    rivals = [place for place in range(len(logprobs)) if place not in others]
    likeliest = rivals[_first_of_most([logprobs[place] for place in rivals])]
    highest = max(logprobs)
    shares = [math.exp(value - highest) for value in logprobs]
    mc2 = sum(shares[place] for place in choices.right) / sum(shares)
    expected = f"expected {choices.texts[best]}"
    mc1 = verdict(likeliest == best, choices.texts[likeliest], "mc1", expected)
    if metric == "mc1":
        return _with_readings(mc1, {"mc2": Share(mc2)})
    readings = {"mc1": Share(float(likeliest == best))}
    return Score("score", mc2, answer=choices.texts[likeliest], rule="mc2", readings=readings)


def _with_readings(score: Score, readings: dict[str, Share]) -> Score:
    return replace(score, readings=readings)


def _first_of_most(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _check(options: dict[str, Json]) -> None:
    """Raises SpecError for options that are unknown, missing or do not go together."""
    known = ("by", *_NAMES, *_WEIGHING)
    for name, value in options.items():
        if name not in known:
            raise SpecError(f"score.choice has no option '{name}'", hint=f"known: {', '.join(known)}")
        if not isinstance(value, str) or not value:
            raise SpecError(f"score.choice.{name} is a text, not {value!r}")
    by = options.get("by", "loglikelihood")
    if by not in _BY:
        raise SpecError(f"score.choice.by is one of {', '.join(_BY)}, not '{by}'")
    if options.get("metric", "acc") not in _METRICS:
        raise SpecError(f"score.choice.metric is one of {', '.join(_METRICS)}, not '{options['metric']}'")
    needed, form = (("right", "wrong"), "right") if "right" in options else (("options", "answer"), "options")
    missing = [name for name in needed if name not in options]
    if missing:
        hint = "options: choices, answer: answer; or right: Correct, wrong: Incorrect"
        raise SpecError(f"score.choice needs `{missing[0]}`", hint=hint)
    others = ("options", "labels", "answer") if form == "right" else ("wrong", "best", "separator")
    _refuse(options, others, f"beside `{form}`")
    if by != "loglikelihood":
        _refuse(options, (*_WEIGHING, "right"), f"by {by}")
    elif (options.get("metric") in ("mc1", "mc2")) != (form == "right") and "metric" in options:
        _refuse(
            options, ("metric",), f"with `{form}`: mc1 and mc2 need `right` and `wrong`, acc and acc_norm `options`"
        )


def _refuse(options: dict[str, Json], names: Sequence[str], where: str) -> None:
    for name in names:
        if name in options:
            raise SpecError(f"score.choice.{name} means nothing {where}", hint=f"leave `{name}` out")
