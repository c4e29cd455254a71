"""A part of a file's rows, and rows with further fields of another file."""

from __future__ import annotations

from evalkit.core.errors import DataError
from evalkit.spec.model import Join, RowRange
from evalkit.tasks.items import field
from evalkit.tasks.rows import Placed, Row, Rows, rows_of


def selected(rows: Rows, part: RowRange) -> Rows:
    """The rows of a range, in their order; their digest is that of the same rows in a file of their own.

    Raises DataError for a row whose field is no number, and when no row is left.
    """
    placed = list(zip(rows.places, rows.rows, strict=True))
    kept = [(place, row) for place, row in placed if part.first <= _number(row, part.field, place) <= part.last]
    named = f"{part.field} {part.first} to {part.last}"
    if not kept:
        raise DataError(f"there is not a single row with {named}", where=rows.origin)
    return rows_of(kept, f"{rows.origin}, {named}", rows.paths)


def _number(row: Row, name: str, where: str) -> float:
    value = field(row, name, "rows.field", where)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"the field '{name}', which `rows.field` names, is no number", where=where) from None


def joined(rows: Rows, join: Join, other: Rows) -> Rows:
    """The rows, each with the fields that the row of its id in `other` has. Ids are compared as texts.

    Raises DataError for a row that has no partner, for two partners, and for a field that both sides have.
    """
    partners = _by_id(other, join.on)
    placed: list[Placed] = []
    for place, row in zip(rows.places, rows.rows, strict=True):
        name = str(field(row, join.on, "join.on", place))
        if name not in partners:
            message = f"{other.origin} has no row with {join.on} '{name}'"
            raise DataError(message, hint="a joined file has a row for each of the task's", where=place)
        further = {key: value for key, value in partners[name].items() if key != join.on}
        twice = sorted(set(further) & set(row))
        if twice:
            raise DataError(f"both this row and {other.origin} have a field '{twice[0]}'", where=place)
        placed.append((place, {**row, **further}))
    return rows_of(placed, f"{rows.origin} + {other.origin}", (*rows.paths, *other.paths))


def _by_id(other: Rows, on: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for place, row in zip(other.places, other.rows, strict=True):
        name = str(field(row, on, "join.on", place))
        if name in found:
            raise DataError(f"{on} '{name}' is there twice", hint="which of the two is meant?", where=place)
        found[name] = row
    return found
