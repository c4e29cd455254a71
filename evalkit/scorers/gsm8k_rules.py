"""The two rules by which GSM8K is scored in the field: texts are compared, not numbers.

They are those of lm-evaluation-harness 0.4.13, task `gsm8k` version 3.0:

- `strict-match`: the first `#### 18`
- `flexible-extract`: the last thing in the text that looks like a number or a sum of money

What was found and the gold answer lose commas, dollar signs, all up to `#### ` and a final full stop, and must then be
the same text: `16.00` is not `16`. Both rules are kept as they are, with what they get wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_STRICT = re.compile(r"#### (-?[0-9.,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")


def _first_after_hashes(text: str) -> str | None:
    match = _STRICT.search(text)
    return None if match is None else match[1].strip()


def _last_like_a_number(text: str) -> str | None:
    last = None
    for match in _FLEXIBLE.finditer(text):
        last = match[0]
    return None if last is None else last.strip()


GSM8K_RULES: dict[str, Callable[[str], str | None]] = {
    "strict-match": _first_after_hashes,
    "flexible-extract": _last_like_a_number,
}
"""The text that each rule takes for the answer, by the rule's name."""


def same_text(found: str, gold: str) -> bool:
    """Whether two answers are the same text after the field's normalisation. The order of its steps matters."""
    return _normal(found) == _normal(gold)


def _normal(text: str) -> str:
    plain = text.replace(",", "").replace("$", "")
    return plain.rpartition("#### ")[2].removesuffix(".").lower()
