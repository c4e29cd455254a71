"""Words and sentences of English text, counted without a model or a word list from elsewhere.

The published checks of IFEval count with NLTK (`\\w+` for words, Punkt for sentences, Treebank tokens for words in
capitals). These rules are our own and agree with all published verdicts that we have; they need no download.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<![.!?])(?P<mark>[.!?]++)[\"'”’)\]*_]*+(?=\s|$)")
_NEVER_LAST = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "st", "gen", "col", "sgt", "capt", "lt", "rev", "hon", "gov", "sen", "rep", "pres",
    "mt", "ft", "no", "vol", "fig", "vs", "e.g", "i.e",
})  # fmt: skip
"""Abbreviations that end no sentence: a name, a number or an example follows them."""
_SELDOM_LAST = frozenset({
    "sr", "jr", "etc", "cf", "al", "inc", "ltd", "co", "corp", "dept", "est", "approx", "u.s", "u.k", "u.n", "a.m",
    "p.m", "ph.d", "b.a", "m.a", "b.s", "m.s", "d.c", "p.s", "p.p.s", "ave", "blvd", "rd", "jan", "feb", "mar", "apr",
    "aug", "sep", "sept", "oct", "nov", "dec",
})  # fmt: skip
"""Abbreviations that end a sentence when a capital letter follows."""
_CONTRACTION = re.compile(r"(?:'(?:s|m|d|ll|re|ve)|n't)\b", re.IGNORECASE)
_TOKEN = re.compile(r"[^\s.,;:!?\"“”()\[\]{}<>*&%$#@`'’…]+(?:[.'’,:*&@][^\s.,;:!?\"“”()\[\]{}<>*&%$#@`'’…]+)*\.?")


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return sum(1 for _ in _WORD.finditer(text))


def count_sentences(text: str) -> int:
    """Stretches that end with a full stop, a question or an exclamation mark, and what is left after the last one.

    A full stop ends none after an initial, after an abbreviation unless a capital letter follows, or after a number
    before a word in lower case. So a list's number before a capital letter counts as one, as it does with NLTK.
    """
    count, start = 0, 0
    for match in _SENTENCE_END.finditer(text):
        if not text[start : match.start()].strip() or not _ends(text, match):
            continue
        count, start = count + 1, match.end()
    return count + bool(text[start:].strip())


def _ends(text: str, match: re.Match[str]) -> bool:
    if match["mark"] != ".":
        return True
    before = _last_word(text, match.start())
    plain = before.lower().lstrip("(\"'“‘[*_")
    if plain in _NEVER_LAST or (len(before) == 1 and before.isupper() and before != "I"):
        return False
    following = text[match.end() : match.end() + 40].lstrip()[:1]
    if plain in _SELDOM_LAST:
        return following.isupper()
    return not (plain.isdigit() and following.islower())


def _last_word(text: str, end: int) -> str:
    """The characters before `end` back to white space, at most 20."""
    return re.split(r"\s", text[max(0, end - 20) : end])[-1]


def count_capital_words(text: str) -> int:
    """Tokens with letters, all of them capital: `U.S.` and `WELL-KNOWN` are one each, `I'M` is two."""
    count = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        head = _CONTRACTION.split(token)[0]
        count += head.isupper()
        count += head != token and token[len(head) :].isupper()
    return count
