"""Numbers in texts: found by a ladder of rules, kept exact, compared exactly.

A number is what people write: a sign, a currency, thousands separators, decimals, an exponent, a fraction (`3/4`,
`1 1/2`), a percent sign. The rules, surest first:

- `hashes`: `#### 18`, the form of GSM8K's own answers; the first of them
- `boxed`: the last `\\boxed{...}` with balanced braces
- `answer`: the last clause `answer is ...`, and of it what follows its last equals sign; or `answer: 18 dollars`
- `bold`: the last `**...**` that holds one number and at most a unit
- `equation`: the result of the last equation, when no later sentence with a number leaves it out
  (`84 / 12 = 7. So she eats 7 dozens in 4 weeks.`)
- `last`: the last number of the text

Every pattern is linear in the text.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from msgspec import Struct

Number: TypeAlias = Decimal | Fraction

_SHOWN = 64
_EXACT_DIGITS = 200

_NUMBER = re.compile(
    r"""
    (?<![\w./^])                                   # not inside a word, a version or a fraction
    (?P<sign>(?<![\d)\]}%])[-+])?                  # 5-3 is two numbers, -3 is one
    (?:[$€£¥]\ ?(?P<inner>-)?)?                    # $-5 and -$5
    (?:
        (?P<whole>[0-9]{1,9})\ (?P<wtop>[0-9]{1,9})/(?P<wbottom>[0-9]{1,9})(?![\d/])   # 1 1/2
      | (?P<top>[0-9]{1,30})/(?P<bottom>[0-9]{1,30})(?![\d/])                          # 3/4
      | (?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]) | [0-9]+)?
        (?P<decimals>\.[0-9]+)?
        (?P<exponent>[eE][-+]?[0-9]{1,3}(?![\w.]))?
        (?<=[0-9])
    )
    (?![0-9])
    """,
    re.VERBOSE,
)


class Found(Struct, frozen=True):
    """A number, and the rule that found it."""

    value: Number
    rule: str


def find(text: str, rules: Sequence[str]) -> Found | None:
    """The number that the first fitting rule finds, or None."""
    plain = _plain(text)
    for rule in rules:
        value = RULES[rule](plain)
        if value is not None:
            return Found(value, rule)
    return None


def parse(text: str) -> Number | None:
    """The one number that a whole text is, apart from currency, percent sign, LaTeX dollars and a final full stop."""
    plain = _plain(text).strip().strip("$").strip()
    match = _NUMBER.match(plain)
    if match is None or plain[match.end() :].strip() not in ("", ".", "%", "%."):
        return None
    return _value(match)


def equal(one: Number, other: Number) -> bool:
    """Whether two numbers are the same, without rounding."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return one == other
    left, right = _fraction(one), _fraction(other)
    return left is not None and left == right


def show(value: Number) -> str:
    """A number in one canonical form, cut where nobody would read on: `16.00` is shown as `16`."""
    if isinstance(value, Fraction):
        text = str(value)
    else:
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        text = "0" if text == "-0" else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _plain(text: str) -> str:
    """The text without what only typesets numbers."""
    text = text.replace("\u2212", "-").replace("\u00a0", " ").replace("\u202f", " ")
    if "\\" in text:
        text = re.sub(r"\\[dt]?frac\{(-?[0-9]+)\}\{([0-9]+)\}", r"\1/\2", text)
        text = re.sub(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}", r" \1 ", text)
        text = re.sub(r"\\[,!;: ]", "", text).replace("\\$", "$").replace("\\%", "%")
    return text.replace("{,}", ",")


def _value(match: re.Match[str]) -> Number | None:
    negative = match["sign"] == "-" or match["inner"] == "-"
    if match["top"] or match["wtop"]:
        bottom = int(match["bottom"] or match["wbottom"])
        if bottom == 0:
            return None
        size = int(match["whole"] or 0) + Fraction(int(match["top"] or match["wtop"]), bottom)
        return -size if negative else size
    digits = (match["digits"] or "0").replace(",", "")
    return Decimal(f"{'-' if negative else ''}{digits}{match['decimals'] or ''}{match['exponent'] or ''}")


def _fraction(value: Number) -> Fraction | None:
    """None for a decimal that is too long to equal a fraction that people write."""
    if isinstance(value, Fraction):
        return value
    _, digits, exponent = value.as_tuple()
    if len(digits) > _EXACT_DIGITS or abs(int(exponent)) > _EXACT_DIGITS:
        return None
    return Fraction(value)


def _first(text: str) -> Number | None:
    match = _NUMBER.search(text)
    return None if match is None else _value(match)


def _last(text: str) -> Number | None:
    last = None
    for match in _NUMBER.finditer(text):
        last = match
    return None if last is None else _value(last)


def _hashes(text: str) -> Number | None:
    for match in re.finditer(r"####[ \t]*([^\n]*)", text):
        said = match[1].lstrip("*_ ")
        number = _NUMBER.match(said)
        # "#### 1. Add the apples" is a heading, not an answer
        if number is not None and not re.match(r"[.):]\s+\S", said[number.end() :]):
            return _value(number)
    return None


def _boxed(text: str) -> Number | None:
    start = len(text)
    for _ in range(4):  # a text may be cut inside its last box
        start = text.rfind("\\boxed{", 0, start)
        if start < 0:
            return None
        content = _braced(text, start + len("\\boxed"))
        if content is not None:
            return _first(content.rpartition("=")[2])
    return None


def _braced(text: str, start: int) -> str | None:
    depth = 0
    for match in re.finditer(r"[{}]", text[start:]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return text[start + 1 : start + match.start()]
    return None


_CLAUSE = re.compile(r"\banswer\b[^.\n:=]{0,60}?(?:(?P<verb>\bis\b|\bare\b|\bwould be\b)|[:=])", re.IGNORECASE)
_CLAUSES = 20
_CLAUSE_LENGTH = 300
_UNIT = r"\s?%?\s?(?:[^\W\d][\w'/-]*(?:\s[^\W\d][\w'/-]*){0,2})?\s?[.!]?"


def _answer(text: str) -> Number | None:
    clauses = deque(_CLAUSE.finditer(text), _CLAUSES)
    for clause in reversed(clauses):
        said = text[clause.end() : clause.end() + _CLAUSE_LENGTH].replace("**", " ").replace("__", " ").lstrip(" \t*_:")
        line = said.lstrip().partition("\n")[0]
        value = _stated(line) if clause["verb"] else _labelled(line, text[clause.end() + len(line) :])
        if value is not None:
            return value
    return None


def _stated(line: str) -> Number | None:
    """The number of `... is 5 + 7 = 12 apples. It ...`."""
    sentence = re.split(r"[.!?;](?:\s|$)", line, maxsplit=1)[0]
    value = _first(sentence.rpartition("=")[2])
    return _first(sentence) if value is None else value


def _labelled(line: str, rest: str) -> Number | None:
    """The number after `Answer:`, unless that label only opens the reasoning."""
    match = _NUMBER.match(line.lstrip("(["))
    if match is None:
        return None
    if re.fullmatch(_UNIT, line.lstrip("([")[match.end() :].rstrip(" )]*_")):
        return _value(match)
    return None if re.search(r"\n[^\n]*[0-9]", rest) else _stated(line)


def _bold(text: str) -> Number | None:
    for content in reversed(re.findall(r"\*\*([^*\n]{1,80})\*\*", text)):
        tail = re.split(r"[=:]", content.rstrip(" :="))[-1].strip()
        match = _NUMBER.match(tail)
        if match is not None and re.fullmatch(_UNIT, tail[match.end() :]):
            return _value(match)
    return None


def _equation(text: str) -> Number | None:
    tail = text.rpartition("=")[2].lstrip(" *_`\\([$") if "=" in text else ""
    match = _NUMBER.match(tail)
    value = None if match is None else _value(match)
    if match is None or value is None:
        return None
    sentences = re.split(r"[.!?](?:\s|$)|\n", tail[match.end() :])
    if re.match(r"\s*[-+*/x×÷^]\s*[0-9($]", sentences[0]) or re.search(r"\b(?:or|which is)\b.*[0-9]", sentences[0]):
        return None  # the equation goes on, or its result is said again in another way
    last = next((sentence for sentence in reversed(sentences[1:]) if re.search(r"[0-9]", sentence)), None)
    if last is None or any(equal(value, other) for other in map(_value, _NUMBER.finditer(last)) if other is not None):
        return value
    return None


RULES: dict[str, Callable[[str], Number | None]] = {
    "hashes": _hashes,
    "boxed": _boxed,
    "answer": _answer,
    "bold": _bold,
    "equation": _equation,
    "last": _last,
}
"""The extraction rules by name, in the order of the ladder."""
