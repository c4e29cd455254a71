"""An Excel workbook with one sheet a table. Rows go to disk as they come, so memory stays flat.

Nothing in it is alive: a text is never read as a formula, a number or a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import ExportTable
from evalkit.core.types import Json
from evalkit.report.exporters import unwritable

_LONGEST_CELL = 32_767
_CUT = " … [cut]"
_MOST_ROWS = 1_048_576
_WIDEST = 50
_LOOKED_AT = 200
"""Rows from which a column's width is taken."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_FILLS = {"PASS": "90EE90", "FAIL": "FFB6C1"}
_HEADER = "CCCCCC"
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
    "nan_inf_to_errors": False,
}


class XlsxExporter:
    """Registered as `xlsx`."""

    def target(self, name: str) -> str:
        return f"{name}.xlsx"

    def export(self, tables: Iterable[ExportTable], target: Path) -> list[Path]:
        try:
            import xlsxwriter
        except ImportError as error:
            hint = "pip install 'evalkit-spec[xlsx]'"
            raise PrerequisiteError("an Excel workbook needs the package XlsxWriter", hint=hint) from error
        scratch = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with xlsxwriter.Workbook(str(scratch), _OPTIONS) as book:
                styles = _styles(book)
                for table in tables:
                    _write(book, table, styles)
            scratch.replace(target)
        except (OSError, xlsxwriter.exceptions.FileCreateError) as error:
            raise unwritable(target, error if isinstance(error, OSError) else OSError(str(error))) from error
        finally:
            with suppress(OSError):  # where it could not be made there is nothing to remove
                scratch.unlink()
        return [target]


def _styles(book: Any) -> dict[str, Any]:
    fills = {word: book.add_format({"bg_color": f"#{colour}"}) for word, colour in _FILLS.items()}
    return {"header": book.add_format({"bold": True, "bg_color": f"#{_HEADER}"}), **fills}


def _write(book: Any, table: ExportTable, styles: dict[str, Any]) -> None:
    rows = iter(table.rows)
    first = list(islice(rows, _LOOKED_AT))
    number = 1
    sheet = _sheet(book, table, number, first, styles)
    line = 0
    for row in chain(first, rows):
        line += 1
        if line == _MOST_ROWS:  # a sheet holds no more: the next one goes on
            number, line = number + 1, 1
            sheet = _sheet(book, table, number, first, styles)
        for column, cell in enumerate(row):
            _cell(sheet, (line, column), cell, styles)


def _sheet(book: Any, table: ExportTable, number: int, first: list[tuple[Json, ...]], styles: dict[str, Any]) -> Any:
    sheet = book.add_worksheet(table.name if number == 1 else f"{table.name}_{number}")
    for column, name in enumerate(table.columns):
        longest = max([len(name), *(len(str(row[column])) for row in first if row[column] is not None)])
        sheet.set_column(column, column, min(longest + 2, _WIDEST))
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(table.columns):
        sheet.write_string(0, column, name, styles["header"])
    return sheet


def _cell(sheet: Any, place: tuple[int, int], cell: Json, styles: dict[str, Any]) -> None:
    if cell is None:
        return
    if isinstance(cell, bool):
        sheet.write_boolean(*place, cell)
    elif isinstance(cell, int | float):
        sheet.write_number(*place, cell)
    else:
        sheet.write_string(*place, text_for_cell(str(cell)), styles[cell] if cell in _FILLS else None)


def text_for_cell(text: str) -> str:
    """The text as a cell can hold it: control characters replaced, what looks like an escape of Excel's kept as it is,
    too long a text cut with a mark."""
    clean = _ESCAPED.sub("_x005F_", _CONTROL.sub(_REPLACED, text))
    return clean if len(clean) <= _LONGEST_CELL else clean[: _LONGEST_CELL - len(_CUT)] + _CUT


XLSX = XlsxExporter()
