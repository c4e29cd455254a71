"""What a plain scalar means: the core schema of YAML 1.2.2, section 10.3.2.

PyYAML follows YAML 1.1, where `no` is false, `1:30` is ninety, `1e-6` is text and a date is an object. Here `no`,
`1:30` and dates are text and `1e-6` is a number.
"""

from __future__ import annotations

import math
import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MOST_DIGITS = 400


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar. Raises ValueError for numbers that JSON cannot hold."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    return _number(text)


def _number(text: str) -> str | int | float:
    if _INTEGER.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise ValueError("a number of this length is not supported")
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("infinity and not-a-number have no place in a spec")
    if not _FLOAT.fullmatch(text):
        return text
    value = float(text)
    if math.isinf(value):
        raise ValueError("this number is too large")
    return value


def looks_like_number(text: str) -> bool:
    """True for text that would be a number if it stood without quotes."""
    return bool(_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text))
