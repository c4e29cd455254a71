"""Scores broken down by a field: two means that are never mixed up, and tables that are worth reading."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from evalkit.report import numbers
from evalkit.report.results import MacroMean, Means, Measure, Rate, StepResults
from evalkit.report.text import cell
from evalkit.stats.intervals import estimate, mean
from evalkit.stats.strata import macro_estimate

MOST = 60
"""As many values are printed one by one; of more, only the ends of the list."""
_ENDS = 10


def rate(scores: Sequence[float]) -> Rate:
    """The mean over items with its interval."""
    found = estimate(scores)
    if found is None:
        return Rate(0, None, None, None)
    return Rate(found.n, found.value, (found.interval.low, found.interval.high), found.method)


def means(groups: Mapping[str, Sequence[float]]) -> Means:
    """Both means over groups, from one score per item of each."""
    known = [scores for scores in groups.values() if scores]
    return Means(rate([score for scores in known for score in scores]), _macro(known))


def _macro(known: Sequence[Sequence[float]]) -> MacroMean:
    found = macro_estimate(known)
    if found is not None:
        bounds = (found.interval.low, found.interval.high)
        return MacroMean(len(known), found.value, bounds, found.method)
    score = mean([math.fsum(scores) / len(scores) for scores in known])
    single = sum(len(scores) < 2 for scores in known)
    reason = f"{numbers.of(single, len(known))} groups have one scored item" if known else "no item is scored"
    return MacroMean(len(known), score, None, None, reason)


class Line(Struct, frozen=True):
    """One value of a field; None for a gap, where `left_out` values are not printed."""

    value: str | None
    measure: Measure | None
    left_out: int = 0


class Table(Struct, frozen=True):
    """A category (or a task) broken down by a field."""

    name: str
    lines: tuple[Line, ...]
    means: Means


class FieldTables(Struct, frozen=True):
    """The tables of one field over the categories, and why a category has none."""

    field: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def by_field(step: StepResults) -> tuple[FieldTables, ...]:
    """The breakdowns of a step, in the order of its categories. Where nothing is scored there is nothing to tell."""
    fields = dict.fromkeys(field for name in step.order for field in step.categories[name].groups)
    found = (_field(step, field) for field in fields)
    return tuple(one for one in found if one.tables or one.notes)


def _field(step: StepResults, field: str) -> FieldTables:
    tables, notes = [], []
    for name in step.order:
        category = step.categories[name]
        values = category.groups.get(field)
        if values is None or not category.scored or (field == "split" and category.task in step.splits):
            continue  # several splits of a task have a table of their own
        if len(values) == 1:
            notes.append(
                f"No table for {cell(name)}: all items have the same {cell(field)}, {cell(next(iter(values)))}."
            )
        elif len(values) == category.n:
            notes.append(f"No table for {cell(name)}: every item has another {cell(field)}.")
        else:
            found = category.group_means.get(field) or means({})
            tables.append(Table(name, tuple(_lines(values)), found))
            notes += [f"No interval of the macro mean of {cell(name)}: {why}." for why in [found.macro.reason] if why]
    return FieldTables(field, tuple(tables), tuple(notes))


def _lines(values: dict[str, Measure]) -> Iterator[Line]:
    if len(values) <= MOST:
        yield from (Line(value, measure) for value, measure in values.items())
        return
    scored = [(measure.score, value) for value, measure in values.items() if measure.score is not None]
    ranked = [value for _, value in sorted(scored, key=lambda pair: pair[0])]  # stable: ties stay in order
    lowest, highest = ranked[:_ENDS], ranked[_ENDS:][-_ENDS:]
    yield from (Line(value, values[value]) for value in lowest)
    yield Line(None, None, len(values) - len(lowest) - len(highest))
    yield from (Line(value, values[value]) for value in highest)


def by_split(step: StepResults) -> tuple[Table, ...]:
    """The tasks of which several splits were asked."""
    return tuple(
        Table(task, tuple(Line(split, measure) for split, measure in found.splits.items()), found.means)
        for task, found in step.splits.items()
    )


def printed(tables: Sequence[FieldTables]) -> int:
    """How many groups the tables print."""
    return sum(line.measure is not None for field in tables for table in field.tables for line in table.lines)
