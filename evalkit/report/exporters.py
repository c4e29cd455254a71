"""Folders of tables: csv, jsonl and Parquet, one file a table."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import msgspec

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import ExportTable
from evalkit.core.types import Json

_BATCH = 4096
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would take for a formula."""


class FolderExporter:
    """One file a table in a folder; an older export of the same form in it is replaced."""

    def __init__(self, suffix: str, write: Callable[[ExportTable, Path], None]) -> None:
        self._suffix = suffix
        self._write = write

    def target(self, name: str) -> str:
        return f"export-{self._suffix}"

    def export(self, tables: Iterable[ExportTable], target: Path) -> list[Path]:
        scratch = target.with_name(f".{target.name}.part")
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir(parents=True)
            names = []
            for table in tables:
                names.append(f"{table.name.lower()}.{self._suffix}")
                self._write(table, scratch / names[-1])
            target.mkdir(parents=True, exist_ok=True)
            for name in names:
                (scratch / name).replace(target / name)
        except OSError as error:
            raise unwritable(target, error) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return [target / name for name in names]


def unwritable(target: Path, error: OSError) -> PrerequisiteError:
    """What to say when the disk refuses."""
    return PrerequisiteError(
        f"{target} cannot be written: {error.strerror or error}", hint="give another place with --into"
    )


def _csv(table: ExportTable, path: Path) -> None:
    """A text that a spreadsheet would run gets an apostrophe before it, as is the custom."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.columns)
        for row in table.rows:
            writer.writerow([_harmless(cell) for cell in row])


def _harmless(cell: Json) -> Json:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return {True: "true", False: "false"}[cell] if isinstance(cell, bool) else cell


def _jsonl(table: ExportTable, path: Path) -> None:
    encoder = msgspec.json.Encoder()
    with path.open("wb") as stream:
        for row in table.rows:
            stream.write(encoder.encode(dict(zip(table.columns, row, strict=True))) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _parquet(table: ExportTable, path: Path) -> None:
    """The type of a column is that of its first value; where others do not fit, all are text."""
    import pyarrow
    from pyarrow import parquet

    rows = iter(table.rows)
    first = list(islice(rows, _BATCH))
    types = [_kind([row[place] for row in first], pyarrow) for place in range(len(table.columns))]
    schema = pyarrow.schema(list(zip(table.columns, types, strict=True)))
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(chain(first, rows)):
            columns = [
                [_as(cell, kind, pyarrow) for cell in column]
                for column, kind in zip(zip(*batch, strict=True), types, strict=True)
            ]
            arrays = [pyarrow.array(column, kind) for column, kind in zip(columns, types, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _batches(rows: Iterator[tuple[Json, ...]]) -> Iterator[list[tuple[Json, ...]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _kind(values: list[Json], pyarrow: Json) -> Json:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    if kinds and kinds <= {int, float}:
        return pyarrow.float64()
    return pyarrow.string()


def _as(cell: Json, kind: Json, pyarrow: Json) -> Json:
    if cell is None or kind != pyarrow.string():
        return cell
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else str(cell)


CSV = FolderExporter("csv", _csv)
JSONL = FolderExporter("jsonl", _jsonl)
PARQUET = FolderExporter("parquet", _parquet)
