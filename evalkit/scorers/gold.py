"""What scorers share that compare an answer with a gold one: their two options, and how a verdict is written."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.core.errors import DataError, SpecError
from evalkit.core.templates import render
from evalkit.core.types import Json, Sample, Score


def check_options(scorer: str, options: Mapping[str, Json], more: tuple[str, ...], *, needed: bool = True) -> None:
    """Raises SpecError unless the options are known and at most one of `answer` and `field`, both texts, is given."""
    unknown = sorted(set(options) - {"answer", "field", *more})
    if unknown:
        known = ", ".join(("answer", "field", *more))
        raise SpecError(f"score.{scorer} has no option '{unknown[0]}'", hint=f"known: {known}")
    both, neither = "answer" in options and "field" in options, "answer" not in options and "field" not in options
    if both or (needed and neither):
        raise SpecError(f"score.{scorer} needs one of `answer` (a template) and `field`", hint="answer: '{{ gold }}'")
    for option in ("answer", "field"):
        if not isinstance(options.get(option, ""), str):
            raise SpecError(f"score.{scorer}.{option} is a text, not {options[option]!r}")


def gold_value(options: Mapping[str, Json], scorer: str, sample: Sample) -> Json:
    """The value of the field, or what the template makes of the row. Raises DataError."""
    where = f"item {sample.id} of task {sample.task}"
    if "field" in options:
        if options["field"] not in sample.row:
            raise DataError(f"no field '{options['field']}', which `score.{scorer}.field` names", where=where)
        return sample.row[options["field"]]
    what = f"score.{scorer}.answer of task {sample.task}"
    return render(options["answer"], sample.row, what=what, where=where, nulls=False)


def wrong_gold(options: Mapping[str, Json], sample: Sample, value: Json, what: str = "gold answer") -> DataError:
    """What to raise for a gold value of a sample that is not `what`: names its field, or the template that made it."""
    source = f"the field '{options['field']}'" if "field" in options else f"made by {options['answer']!r}"
    where = f"item {sample.id} of task {sample.task}"
    return DataError(f"{str(value)[:80]!r} is no {what}; it is {source}", where=where)


def verdict(right: bool, answer: str | None, rule: str, expected: str) -> Score:
    """The score of an answer that was found by `rule`; None is no answer."""
    if answer is None:
        return Score("fail", 0.0, error_class="no_answer", reason=expected)
    if right:
        return Score("pass", 1.0, answer=answer, rule=rule)
    return Score("fail", 0.0, answer=answer, error_class="wrong_answer", rule=rule, reason=expected)
