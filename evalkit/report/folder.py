"""Reads a run folder. Everything the report says comes through here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from evalkit.core import runfolder
from evalkit.core.errors import DataError
from evalkit.core.runfolder import Lock, RunRecord
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow

_Row = TypeVar("_Row")

_AGAIN = "run the command of this run again: what is in the store is not asked a second time"


def read_run(folder: Path) -> RunRecord:
    """`run.json`. Raises DataError when the folder is not a run folder."""
    try:
        return msgspec.json.decode(_read(folder / runfolder.RUN), type=RunRecord)
    except msgspec.DecodeError as error:
        raise DataError(f"not a run record: {error}", where=str(folder / runfolder.RUN), hint=_AGAIN) from error


def read_lock(folder: Path) -> Lock:
    """`evalkit.lock`, in JSON or YAML."""
    path = folder / runfolder.LOCK
    content = _read(path)
    decode = msgspec.json.decode if content.lstrip().startswith(b"{") else msgspec.yaml.decode
    try:
        return decode(content, type=Lock)
    except msgspec.DecodeError as error:
        raise DataError(f"not a lock: {error}", where=str(path), hint=_AGAIN) from error


def read_rows(folder: Path) -> Iterator[SampleRow]:
    """The lines of `samples.jsonl`, one at a time."""
    path = folder / runfolder.SAMPLES
    if not path.exists():
        raise DataError("the run folder has no samples", where=str(path), hint=_AGAIN)
    yield from _lines(path, SampleRow, "a sample row")


def read_verdicts(folder: Path) -> Iterator[VerdictRow]:
    """The lines of `verdicts.jsonl`, one at a time; nothing where no judge compared."""
    path = folder / runfolder.VERDICTS
    if path.exists():
        yield from _lines(path, VerdictRow, "a verdict")


def _lines(path: Path, kind: type[_Row], what: str) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise DataError(f"not {what}: {error}", where=f"{path}:{number}", hint=_AGAIN) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        hint = "name a folder under runs/; evalkit ls lists them"
        raise DataError("not a run folder: the file is missing", where=str(path), hint=hint) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    hint = "it must be a file that you may read; " + _AGAIN
    return DataError(f"cannot be read: {error.strerror}", where=str(path), hint=hint)
