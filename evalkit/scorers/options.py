"""What a row of a multiple choice task offers: the options, their labels, and which of them are right.

Data sets write the same thing in many ways, and all of these are read. Options are a list of texts, or a map with the
lists `text` and `label` (ARC's form). The right one is an index from 0 (MMLU), a letter or a digit (ARC has both), the
option's own text, or a list of such. Or the right and the wrong options stand apart, each a list or one text that a
separator divides (TruthfulQA).
"""

from __future__ import annotations

import string
from collections.abc import Mapping

from msgspec import Struct

from evalkit.core.errors import DataError
from evalkit.core.templates import is_template, render
from evalkit.core.types import Json, Sample

LETTERS = string.ascii_uppercase


class Choices(Struct, frozen=True):
    """The options of one item. `right` are places in them, the best first; `named` says that the data labels them."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    right: tuple[int, ...]
    named: bool = False

    @property
    def expected(self) -> str:
        """What should have been said, for the reason of a failure."""
        return " or ".join(self.shown(place) for place in self.right)

    def shown(self, place: int) -> str:
        """An option as people read it: `B: in the sun`."""
        return f"{self.labels[place]}: {self.texts[place]}"


def read(options: Mapping[str, Json], sample: Sample) -> Choices:
    """The options that a scorer's `options`, `labels` and `answer`, or `right`, `wrong` and `best`, name.

    Raises DataError for a row that lacks them, has fewer than two options, or whose right one cannot be told.
    """
    where = f"item {sample.id} of task {sample.task}"
    if "right" in options:
        return _apart(options, sample.row, where)
    texts, labels = _offered(options, sample.row, where)
    named = labels is not None
    choices = Choices(texts, labels or tuple(LETTERS[: len(texts)]), (), named)
    gold, written = _gold(options["answer"], sample, where)
    golds = gold if isinstance(gold, list) else [gold]
    right = tuple(_place(one, choices, where, written) for one in golds)
    if not right:
        raise DataError("no option is right", where=where)
    return Choices(choices.texts, choices.labels, right, named)


def _offered(
    options: Mapping[str, Json], row: Mapping[str, Json], where: str
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    value = _field(row, options["options"], "options", where)
    labels: Json = None
    if isinstance(value, Mapping):
        if not {"text", "label"} <= set(value):
            raise DataError(f"the options are a map without `text` and `label`: {sorted(value)}", where=where)
        value, labels = value["text"], value["label"]
    elif "labels" in options:
        labels = _field(row, options["labels"], "labels", where)
    texts = _texts(value, "options", where)
    _check_count(len(texts), where)
    if labels is None:
        return texts, None
    named = tuple(label.strip() for label in _texts(labels, "labels", where))
    if len(named) != len(texts) or len(set(named)) != len(named):
        raise DataError(f"{len(texts)} options have the labels {list(named)}", hint="one of its own each", where=where)
    return texts, named


def _apart(options: Mapping[str, Json], row: Mapping[str, Json], where: str) -> Choices:
    def parts(option: str) -> list[str]:
        value = _field(row, options[option], option, where)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(options.get("separator", ";"))]
        return list(dict.fromkeys(text for text in _texts(value, option, where) if text.strip()))

    right, wrong = parts("right"), parts("wrong")
    if "best" in options:
        best = str(_field(row, options["best"], "best", where)).strip()
        right = [best, *(text for text in right if text != best)]
    wrong = [text for text in wrong if text not in right]
    if not right or not wrong:
        raise DataError(f"{len(right)} right and {len(wrong)} wrong options: both are needed", where=where)
    texts = (*right, *wrong)
    return Choices(texts, tuple(str(place + 1) for place in range(len(texts))), tuple(range(len(right))))


def _gold(answer: str, sample: Sample, where: str) -> tuple[Json, bool]:
    """The right answer as the row has it, and whether a template wrote it."""
    if is_template(answer):
        what = f"score.choice.answer of task {sample.task}"
        return render(answer, sample.row, what=what, where=where, nulls=False), True
    return _field(sample.row, answer, "answer", where), False


def _place(gold: Json, choices: Choices, where: str, written: bool) -> int:
    """The place of the right option: a number is an index from 0, a text a label, else the option's own text.

    Where the data's own labels are digits, a number is one of these labels.
    """
    count = len(choices.texts)
    if isinstance(gold, int) and not isinstance(gold, bool) and choices.named and choices.labels[0].isdecimal():
        gold = str(gold)
    if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < count:
        return gold
    text = gold.strip() if isinstance(gold, str) else ""
    labels = [label.casefold() for label in choices.labels]
    if text and text.casefold() in labels:
        return labels.index(text.casefold())
    if text.isdecimal() and written and not choices.labels[0].isdecimal():
        hint = "an index has to stay a number: name the field instead of a template, `answer: FIELD`"
        raise DataError(f"'{text}' may be an index or a label", hint=hint, where=where)
    if text.isdecimal() and not choices.labels[0].isdecimal() and 1 <= int(text) <= count:
        return int(text) - 1
    if len(text) == 1 and text.upper() in LETTERS[:count] and choices.labels[0].isdecimal():
        return LETTERS.index(text.upper())
    if text and text in choices.texts:
        return choices.texts.index(text)
    known = ", ".join(choices.labels)
    raise DataError(f"{gold!r:.80} is none of the {count} options", hint=f"their labels: {known}", where=where)


def _check_count(count: int, where: str) -> None:
    if not 2 <= count <= len(LETTERS):
        raise DataError(f"{count} options: multiple choice needs 2 to {len(LETTERS)}", where=where)


def _texts(value: Json, option: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or any(isinstance(one, dict | list) or one is None for one in value):
        raise DataError(f"what `score.choice.{option}` names is no list of texts: {value!r:.80}", where=where)
    return tuple(str(one) for one in value)


def _field(row: Mapping[str, Json], name: str, option: str, where: str) -> Json:
    if name not in row:
        has = ", ".join(sorted(map(str, row)))
        raise DataError(
            f"no field '{name}', which `score.choice.{option}` names", hint=f"the row has: {has}", where=where
        )
    return row[name]
