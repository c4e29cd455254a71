"""What the checks of a rubric share: the answer as they read it, and what they say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from evalkit.core.errors import SpecError
from evalkit.core.types import Json, Sample, Score
from evalkit.scorers import bounded, json_schema, python_facts
from evalkit.scorers.extract_code import extract

_PARSE_S = 5
NO_JSON = object()
"""Stands for the JSON of an answer that holds none."""


class Finding(NamedTuple):
    """What a check finds: the share of a criterion that is met, in [0, 1], or for a check that counts how many hits
    there are, with what is to be said where that is not all. None where it is not known."""

    amount: float | None
    reason: str = ""


class Answer:
    """An answer as checks read it: what several of them need is made once.

    `whole` is the text with what the prompt began (`prefill`): a program and a JSON value are judged as a whole, all
    else is what the model wrote. `sample` is there for checks by another scorer.
    """

    def __init__(self, text: str, whole: str | None = None, sample: Sample | None = None) -> None:
        self.text = sound(text)
        self.whole = self.text if whole is None else sound(whole)
        self.sample = sample

    @cached_property
    def lines(self) -> int:
        return sum(bool(line.strip()) for line in self.text.splitlines())

    @cached_property
    def words(self) -> int:
        return len(self.text.split())

    @cached_property
    def json(self) -> Json:
        """The JSON value in the answer, or NO_JSON."""
        found = json_schema.find_json(self.whole)
        return NO_JSON if found is None else json.loads(found[0])

    @cached_property
    def program(self) -> python_facts.Facts | None:
        """Facts of the program; None where there is none. Raises bounded.Exceeded."""
        code = extract(self.whole, "first_block", None).text
        if code is None:
            return None
        found: python_facts.Facts = bounded.shared().call(f"{python_facts.__name__}:facts", {"source": code}, _PARSE_S)
        return found


def sound(text: str) -> str:
    """Half a character cannot go to another process."""
    return text.encode("utf-8", "replace").decode()


Find = Callable[[Answer, Score | None], Finding]
"""Judges one answer, with the verdict of the task's own scorer where it is known. Raises bounded.Exceeded."""


class Check(Struct, frozen=True):
    """One entry of the vocabulary, ready to judge.

    `counts`: the finding is a number of hits and not a share. `shallow`: it measures length or keywords, no more.
    `oracle`: it reads a verdict or a gold answer. With a `question` a judge answers, and `find` is not asked.
    `needs` raises DataError for a sample that it cannot judge.
    """

    find: Find
    counts: bool = False
    shallow: bool = False
    oracle: bool = False
    question: str | None = None
    needs: Callable[[Sample], None] | None = None


def met(holds: bool, otherwise: str) -> Finding:
    """All or nothing."""
    return Finding(1.0) if holds else Finding(0.0, otherwise)


def whole_number(name: str, value: Json, least: int = 1) -> int:
    """A limit. Raises SpecError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"{name}: is a whole number from {least}, not {value!r}", hint=f"{name}: 40")
    return value


def texts(name: str, value: Json, example: str) -> list[str]:
    """A list of texts that are not empty. Raises SpecError."""
    if not isinstance(value, list) or not value or not all(isinstance(text, str) and text for text in value):
        raise SpecError(f"{name}: is a list of texts", hint=example)
    return value
