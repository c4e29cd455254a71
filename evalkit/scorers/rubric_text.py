"""Checks of an answer's text: patterns, words, length."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.errors import SpecError
from evalkit.core.types import Json
from evalkit.scorers import bounded, regex
from evalkit.scorers.rubric_answer import Answer, Check, Finding, met, texts, whole_number

_SEARCH_S = 1
_SHOWN = 80
_CONTAINS = "contains: [edge, empty]"


def pattern_of(name: str, written: Json) -> str:
    """A pattern that compiles. Raises SpecError."""
    wrong = regex.wrong_pattern(written)
    if wrong:
        raise SpecError(f"{name}: {wrong}", hint=rf"{name}: '\b(None|len\()'")
    return str(written)


def is_found(pattern: str, answer: Answer) -> bool:
    """Raises bounded.Exceeded."""
    wanted = {"pattern": pattern, "text": answer.text, "last": False, "whole": False, "ignore_case": False}
    return bounded.shared().call(f"{regex.__name__}:search", wanted, _SEARCH_S) is not None


def _regex(written: Json) -> Check:
    pattern = pattern_of("regex", written)
    return Check(lambda answer, _: met(is_found(pattern, answer), f"no match of {pattern[:_SHOWN]}"), shallow=True)


def _not_regex(written: Json) -> Check:
    pattern = pattern_of("not_regex", written)
    return Check(lambda answer, _: met(not is_found(pattern, answer), f"a match of {pattern[:_SHOWN]}"), shallow=True)


def _contains(written: Json) -> Check:
    ignore_case = False
    if isinstance(written, dict):
        if set(written) - {"texts", "ignore_case"} or not isinstance(written.get("ignore_case", False), bool):
            raise SpecError("contains: has `texts` and `ignore_case`", hint="contains: {texts: [a], ignore_case: true}")
        ignore_case, written = written.get("ignore_case", False), written.get("texts")
    wanted = texts("contains", written, _CONTAINS)

    def find(answer: Answer, _: object) -> Finding:
        text = answer.text.lower() if ignore_case else answer.text
        absent = [one for one in wanted if (one.lower() if ignore_case else one) not in text]
        return met(not absent, f"it does not contain {', '.join(map(repr, absent))}"[:_SHOWN])

    return Check(find, shallow=True)


def _limit(name: str, measure: Callable[[Answer], int]) -> Callable[[Json], Check]:
    """`min_` or `max_` of something counted; the reason says how many there are."""
    unit, least = name[4:], name.startswith("min_")

    def make(written: Json) -> Check:
        limit = whole_number(name, written)

        def find(answer: Answer, _: object) -> Finding:
            n = measure(answer)
            return met(n >= limit if least else n <= limit, f"{n} {unit}")

        return Check(find, shallow=True)

    return make


_MEASURES: dict[str, Callable[[Answer], int]] = {
    "lines": lambda answer: answer.lines,
    "words": lambda answer: answer.words,
    "chars": lambda answer: len(answer.text),
}
MAKERS: dict[str, Callable[[Json], Check]] = {
    "regex": _regex,
    "not_regex": _not_regex,
    "contains": _contains,
    **{f"{end}_{unit}": _limit(f"{end}_{unit}", of) for unit, of in _MEASURES.items() for end in ("min", "max")},
}
