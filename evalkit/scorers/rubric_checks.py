"""The vocabulary of rubrics: what a criterion can check of an answer.

    {regex: '\\b(None|len\\()'}       the pattern is found (Python's `re`; inline flags such as (?i) are for its start)
    {contains: [edge, empty]}        each of the texts stands in the answer, letter by letter
    {max_lines: 40}                  at most so many lines that are not blank
    {min_words: 50}                  at least so many words: what white space separates
    {max_words: 200}                 at most so many
    {json_schema: {type: object}}    the answer holds JSON, and the schema has nothing to say against it
    python.parses                    the program parses
    python.has_return                some function returns a value other than None
    python.fully_annotated           there is a function, and each has all its parameters and its result annotated
    python.has_docstring             some function or class has a docstring

The program of an answer is its first fenced block, or the code that an answer without one begins with or holds. Each
check reads the answer alone: never the gold answer, never the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple, TypeAlias

from evalkit.core.errors import SpecError
from evalkit.core.types import Json
from evalkit.scorers import bounded, json_schema, python_facts, regex
from evalkit.scorers.extract_code import extract

_SEARCH_S = 1
_SCHEMA_S = 5
_PARSE_S = 5
_SHOWN = 80
_PYTHON = "python."


class Finding(NamedTuple):
    """What share of a criterion an answer meets, and what is to be said where it does not meet all of it."""

    share: float
    reason: str = ""


class Answer:
    """An answer as checks read it: what several of them need is made once.

    `whole` is the text with what the prompt began (`prefill`): a program and a JSON value are judged as a whole, all
    else is what the model wrote.
    """

    def __init__(self, text: str, whole: str | None = None) -> None:
        self.text = _sound(text)
        self.whole = self.text if whole is None else _sound(whole)

    @cached_property
    def lines(self) -> int:
        return sum(bool(line.strip()) for line in self.text.splitlines())

    @cached_property
    def words(self) -> int:
        return len(self.text.split())

    @cached_property
    def facts(self) -> dict[str, bool] | None:
        """Facts of the program; None where there is none. Raises bounded.Exceeded."""
        code = extract(self.whole, "first_block", None).text
        if code is None:
            return None
        found: dict[str, bool] = bounded.shared().call(f"{python_facts.__name__}:facts", {"source": code}, _PARSE_S)
        return found


def _sound(text: str) -> str:
    """Half a character cannot go to another process."""
    return text.encode("utf-8", "replace").decode()


Check: TypeAlias = Callable[[Answer], Finding]
"""Judges one answer. Raises bounded.Exceeded where it cannot."""


def make(written: Json) -> Check:
    """The check that a criterion's `check:` says. Raises SpecError, whose message goes on after that key."""
    if isinstance(written, str):
        return _python(written)
    if not isinstance(written, dict) or len(written) != 1:
        raise SpecError("is one check: a name, or a map with one key", hint=_KNOWN)
    ((name, options),) = written.items()
    if name not in _MAKERS:
        raise SpecError(f"knows no check '{name}'", hint=_KNOWN)
    return _MAKERS[name](options)


def _python(name: str) -> Check:
    fact = name.removeprefix(_PYTHON)
    if not name.startswith(_PYTHON) or fact not in python_facts.FACTS:
        raise SpecError(f"knows no check '{name}'", hint=_KNOWN)

    def check(answer: Answer) -> Finding:
        if answer.facts is None:
            return Finding(0.0, "there is no program")
        return _finding(answer.facts[fact], python_facts.missing(fact))

    return check


def _regex(pattern: Json) -> Check:
    wrong = regex.wrong_pattern(pattern)
    if wrong:
        raise SpecError(f"regex: {wrong}", hint=r"regex: '\b(None|len\()'")
    job = f"{regex.__name__}:search"

    def check(answer: Answer) -> Finding:
        wanted = {"pattern": pattern, "text": answer.text, "last": False, "whole": False, "ignore_case": False}
        found = bounded.shared().call(job, wanted, _SEARCH_S)
        return _finding(found is not None, f"no match of {pattern[:_SHOWN]}")

    return check


def _contains(texts: Json) -> Check:
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise SpecError("contains: is a list of texts", hint="contains: [edge, empty]")

    def check(answer: Answer) -> Finding:
        absent = [text for text in texts if text not in answer.text]
        return _finding(not absent, f"it does not contain {', '.join(map(repr, absent))}"[:_SHOWN])

    return check


def _max_lines(most: Json) -> Check:
    limit = _count("max_lines", most)
    return lambda answer: _finding(answer.lines <= limit, f"{answer.lines} lines")


def _min_words(least: Json) -> Check:
    limit = _count("min_words", least)
    return lambda answer: _finding(answer.words >= limit, f"{answer.words} words")


def _max_words(most: Json) -> Check:
    limit = _count("max_words", most)
    return lambda answer: _finding(answer.words <= limit, f"{answer.words} words")


def _json_schema(schema: Json) -> Check:
    wrong = json_schema.wrong_schema(schema)
    if wrong:
        raise SpecError(f"json_schema: is no JSON Schema: {wrong}", hint="json_schema: {type: object}")
    job = f"{json_schema.__name__}:first_violation"

    def check(answer: Answer) -> Finding:
        found = json_schema.find_json(answer.whole)
        if found is None:
            return Finding(0.0, "there is no JSON")
        violation = bounded.shared().call(job, {"schema": schema, "text": found[0]}, _SCHEMA_S)
        return _finding(violation is None, violation or "")

    return check


def _count(name: str, value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(f"{name}: is a whole number from 1, not {value!r}", hint=f"{name}: 40")
    return value


def _finding(holds: bool, otherwise: str) -> Finding:
    return Finding(1.0) if holds else Finding(0.0, otherwise)


_MAKERS: dict[str, Callable[[Json], Check]] = {
    "regex": _regex,
    "contains": _contains,
    "max_lines": _max_lines,
    "min_words": _min_words,
    "max_words": _max_words,
    "json_schema": _json_schema,
}
_KNOWN = f"known: {', '.join([*_MAKERS, *(_PYTHON + fact for fact in python_facts.FACTS)])}"
