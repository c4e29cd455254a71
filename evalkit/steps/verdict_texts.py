"""What a judge's text says of two answers, and nothing that it does not say.

Two forms are read. `letters`: `[[A]]`, `[[B]]` or `[[C]]` (a tie), the form of FastChat's `llm_judge` (Zheng et al.
2023, arXiv 2306.05685). `json`: an object with a `winner`, and ratings of both answers where it has them. Where a model
thinks aloud (`<think>...</think>`) only what comes after counts. Everything else has a reason and no verdict.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from evalkit.core.types import Json
from evalkit.core.verdicts import Said

Style = Literal["letters", "json"]
_LETTERS = re.compile(r"\[\[\s*([ABCabc])\s*\]\]")
_MEANT: dict[str, Said] = {"a": "first", "b": "second", "c": "tie", "tie": "tie", "draw": "tie"}
_WINNER = re.compile(r"(?:(?:response|answer|assistant|option)[\s_-]*)?\W*(a|b|c|tie|draw)\W*", re.IGNORECASE)
_SIDES = ("response_{}", "answer_{}", "assistant_{}", "{}")
_RATING = re.compile(r"\[\[(\d+\.?\d*)\]\]")
_BARE_RATING = re.compile(r"\[(\d+\.?\d*)\]")
_THOUGHT_BEGINS, _THOUGHT_ENDS = "<think>", "</think>"
_BEGINS = re.compile(r"\{(?=\s*(\"|\}))")
"""A brace before a key, or an empty object; a brace in prose or code begins none."""
_LOWEST, _HIGHEST = 1.0, 10.0
_QUOTED = 60


class Reading(Struct, frozen=True):
    """What was read. `said` is None where nothing could be, and `reason` says why. `ratings` are by criterion, those of
    the answer that stood first before those of the second."""

    said: Said | None
    reason: str | None = None
    ratings: dict[str, tuple[float, float]] = {}


def read(style: Style, text: str, criteria: Sequence[str] = ()) -> Reading:
    """The verdict in a judge's text; ratings of the `criteria` only in the `json` style."""
    final = _final(text)
    if not final and text.strip():
        return Reading(None, "the judge's answer is all thinking, and that does not end")
    return read_letters(final) if style == "letters" else read_json(final, criteria)


def _final(text: str) -> str:
    """What comes after all thinking; nothing where it does not end."""
    after = text.rpartition(_THOUGHT_ENDS)[2].lstrip()
    return "" if after.startswith(_THOUGHT_BEGINS) else after


def ends_with_verdict(style: Style, text: str) -> bool:
    """Whether nothing comes after a verdict but marks: then a text that was cut off had said it all."""
    if style == "json":
        return text.rstrip(" \n\r\t`").endswith("}")
    ends = [found.end() for found in _LETTERS.finditer(text)]
    return bool(ends) and not any(letter.isalnum() for letter in text[ends[-1] :])


def read_letters(text: str) -> Reading:
    """The letter between double brackets. FastChat takes the first kind of it that it finds; a text with several kinds
    says nothing here."""
    found = sorted({letter.upper() for letter in _LETTERS.findall(text)})
    if not found:
        return Reading(None, f"the judge's answer has no verdict: it ends {_end_of(text)}")
    if len(found) > 1:
        return Reading(None, f"the judge's answer has several verdicts: {' and '.join(f'[[{one}]]' for one in found)}")
    return Reading(_MEANT[found[0].lower()])


def read_json(text: str, criteria: Sequence[str] = ()) -> Reading:
    """The `winner` of the last object that has one, wherever in the text it stands."""
    last = None
    for found in _objects(text):
        last = found if "winner" in found else last
    if last is None:
        return Reading(None, f"the judge's answer has no object with a `winner`: it ends {_end_of(text)}")
    winner = last["winner"]
    meant = _WINNER.fullmatch(winner.strip()) if isinstance(winner, str) else None
    if meant is None:
        return Reading(None, f"the judge names a winner that is none: {_quoted(json.dumps(winner))}")
    return Reading(_MEANT[meant[1].lower()], ratings=_ratings(last, criteria))


def rating_of(text: str) -> float | None:
    """The number between double brackets, or between single ones where there are none: FastChat's rating of a single
    answer. None where there is no number."""
    found = _RATING.search(text) or _BARE_RATING.search(text)
    return float(found[1]) if found is not None else None


def _objects(text: str) -> Iterator[dict[str, Json]]:
    """Every JSON object in a text, in order, a line break within its words allowed. Nothing after the beginning of one
    that is broken: what stands inside of it, or in its words, is no object of the judge's."""
    decoder = json.JSONDecoder(object_pairs_hook=_object, strict=False)
    begun = _BEGINS.search(text)
    while begun is not None:
        try:
            found, end = decoder.raw_decode(text, begun.start())
        except (ValueError, RecursionError):
            return
        yield {key.casefold(): value for key, value in found.items()}
        begun = _BEGINS.search(text, end)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object as it is written; one that names two winners is broken."""
    if sum(key.casefold() == "winner" for key, _ in pairs) > 1:
        raise ValueError("two winners")
    return dict(pairs)


def _ratings(found: Mapping[str, Json], criteria: Sequence[str]) -> dict[str, tuple[float, float]]:
    """What both answers were rated, by criterion; a criterion with only one rating, or one out of range, has none."""
    first, second = _side(found, "a"), _side(found, "b")
    given = {name: (_rated(first, name), _rated(second, name)) for name in criteria}
    return {name: (one, other) for name, (one, other) in given.items() if one is not None and other is not None}


def _side(found: Mapping[str, Json], letter: str) -> dict[str, Json]:
    inner = found.get("ratings")
    places = {**found, **_plain_keys(inner)}
    named = (places.get(form.format(letter)) for form in _SIDES)
    return next((_plain_keys(one) for one in named if isinstance(one, dict)), {})


def _plain_keys(given: Json) -> dict[str, Json]:
    return {_plain(str(key)): value for key, value in given.items()} if isinstance(given, dict) else {}


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _rated(side: Mapping[str, Json], criterion: str) -> float | None:
    value = side.get(_plain(criterion))
    if isinstance(value, bool) or not isinstance(value, int | float) or not _LOWEST <= value <= _HIGHEST:
        return None
    return float(value) if math.isfinite(value) else None


def _end_of(text: str) -> str:
    return _quoted(repr(" ".join(text.split())[-_QUOTED:]))


def _quoted(text: str) -> str:
    return text if len(text) <= 2 * _QUOTED else f"{text[: 2 * _QUOTED]}…"
