"""Answers that a regular expression finds: compared with the gold answer, or right by being there at all.

    score: {regex: {pattern: '(?i)answer: *([A-E])', answer: '{{ gold }}'}}
    score: {regex: {pattern: '[A-Z][a-z]+ [0-9]{4}', whole: true}}

The syntax is that of Python's module `re`. Patterns are written by authors of tasks and meet whatever a model writes,
so each search has a second of processor time; one that needs more is void and says so.
"""

from __future__ import annotations

import re
from collections import deque

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score
from evalkit.scorers import bounded
from evalkit.scorers.gold import check_options, gold_value, verdict, wrong_gold
from evalkit.scorers.plain import PlainScorer

_SEARCH_S = 1
_SHOWN = 200
_OPTIONS = ("pattern", "take", "whole", "ignore_case")


class RegexScorer(PlainScorer):
    """What the pattern's group finds equals a gold answer; without a gold answer, the pattern is found.

    Options: `pattern`; `take`, the `first` or `last` match (default: first); `whole`, the pattern has to match all of
    the answer, white space around it apart; `ignore_case`, for search and comparison. Of a match its group named
    `answer` counts, else its first group, else all of it.
    """

    def __init__(self, options: dict[str, Json]) -> None:
        check_options("regex", options, _OPTIONS, needed=False)
        for flag in ("whole", "ignore_case"):
            if not isinstance(options.get(flag, False), bool):
                raise SpecError(f"score.regex.{flag} is true or false, not {options[flag]!r}")
        if options.get("take", "first") not in ("first", "last"):
            raise SpecError(f"score.regex.take is first or last, not {options['take']!r}")
        self._options = options
        self._pattern = _checked(options.get("pattern"))
        self._compares = "answer" in options or "field" in options
        self.reads_gold = self._compares

    def check(self, sample: Sample) -> None:
        """Raises DataError for a sample without a gold answer, where one is compared with."""
        self._golds(sample)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        golds = self._golds(sample)
        try:
            found = bounded.shared().call(f"{__name__}:search", self._search(completion.text), _SEARCH_S)
        except bounded.Exceeded as error:
            return Score("void", None, reason=f"scorer: the pattern '{self._pattern[:80]}' failed: {error.reason}")
        expected = f"expected {' or '.join(golds)}" if self._compares else f"expected a match of {self._pattern}"
        answer = None if found is None else found.strip()
        right = answer is not None and (not self._compares or self._plain(answer) in map(self._plain, golds))
        return verdict(right, None if answer is None else answer[:_SHOWN], "regex", expected)

    def _search(self, text: str) -> dict[str, Json]:
        return {
            "pattern": self._pattern,
            "text": text.encode("utf-8", "replace").decode(),
            "last": self._options.get("take") == "last",
            "whole": bool(self._options.get("whole")),
            "ignore_case": bool(self._options.get("ignore_case")),
        }

    def _golds(self, sample: Sample) -> list[str]:
        if not self._compares:
            return []
        value = gold_value(self._options, "regex", sample)
        golds = value if isinstance(value, list) else [value]
        for gold in golds or [None]:
            if isinstance(gold, (dict, list)) or gold is None or not str(gold).strip():
                raise wrong_gold(self._options, sample, gold)
        return [str(gold).strip() for gold in golds]

    def _plain(self, text: str) -> str:
        return text.casefold() if self._options.get("ignore_case") else text


def search(pattern: str, text: str, last: bool, whole: bool, ignore_case: bool) -> str | None:
    """The text that the pattern finds, or None. Runs in the helper process."""
    compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    if whole:
        found = compiled.fullmatch(text.strip())
    elif last:
        found = next(iter(deque(compiled.finditer(text), 1)), None)
    else:
        found = compiled.search(text)
    return None if found is None else _group(found)


def _group(match: re.Match[str]) -> str:
    named = match.groupdict()
    if "answer" in named:
        return named["answer"] or ""
    return (match[1] if match.re.groups else match[0]) or ""


def _checked(pattern: Json) -> str:
    if not isinstance(pattern, str) or not pattern:
        raise SpecError("score.regex needs a `pattern`", hint="pattern: '(?i)answer: *([A-E])'")
    wrong = wrong_pattern(pattern)
    if wrong:
        raise SpecError(f"score.regex.pattern {wrong}")
    return pattern


def wrong_pattern(pattern: Json) -> str:
    """Why a value is no pattern, as the end of a sentence; empty where it is one."""
    if not isinstance(pattern, str) or not pattern:
        return f"is a text, not {pattern!r:.80}"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    return ""
