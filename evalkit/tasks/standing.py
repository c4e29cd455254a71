"""Where a task's rows would come from on this machine. Nothing is fetched, no network is asked, little is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os.path import normpath
from pathlib import Path

from msgspec import Struct

from evalkit.core.digest import digest, short
from evalkit.core.errors import EvalkitError
from evalkit.fetch import hub, package
from evalkit.fetch.notes import noted
from evalkit.spec.model import DataSource, RowRange, Task
from evalkit.tasks.datasets import found_file, places_of
from evalkit.tasks.parts import selected
from evalkit.tasks.rows import count_rows, parse_files

_KIND = "rows"


class Standing(Struct, frozen=True):
    """One split of a task: the first of its sources that can be had, in words.

    `at_hand` is true when its files are on this machine, `paths` says where. `rows` are counted in them; where they are
    not at hand it is the number that the task file declares, or None.
    """

    split: str
    source: str
    at_hand: bool
    rows: int | None
    paths: tuple[str, ...] = ()


def standing(task: Task, split: str, folders: Sequence[Path]) -> Standing:
    """How a split stands. Sources are looked at in the order in which they are tried when rows are read."""
    declared = task.size.get(split)
    for source in task.data[split]:
        title, files = _look(source, split, places_of(task, folders))
        if files:
            return Standing(split, title, True, _count(files, source.rows), tuple(normpath(path) for _, path in files))
        if title:
            return Standing(split, title, False, declared)
    return Standing(split, "missing", False, declared)


_Files = Sequence[tuple[str, Path]]


def _look(source: DataSource, split: str, places: Sequence[Path]) -> tuple[str, _Files]:
    """The source in words and its files; no words for one that cannot be had at all."""
    if source.file is not None:
        path = found_file(source.file, places)
        return ("", ()) if path is None else (f"file {normpath(path)}", ((source.file, path),))
    if source.package is not None and source.sha256 is not None and source.member is not None:
        kept = package.cached(source.sha256)
        if kept is None:
            return f"package {source.package}, not fetched", ()
        return f"package {source.package}, in the cache", ((source.member, kept),)
    if source.hub is None:
        return "", ()
    cached = hub.cached_dataset(source.hub, source.revision, source.config, source.split or split)
    if cached is None:
        return f"hub {source.hub}, not fetched", ()
    return f"hub {source.hub}, in its cache", cached.files


def _count(files: _Files, part: RowRange | None) -> int | None:
    """Rows of all files; None where one cannot be read, which reading it will tell."""
    kind = _KIND if part is None else f"{_KIND}-{short(digest(part))}"
    try:
        return sum(noted(kind, path, partial(_count_part, name, part)) for name, path in files)
    except (EvalkitError, OSError):
        return None


def _count_part(name: str, part: RowRange | None, path: Path) -> int:
    if part is None:
        return count_rows(name, path)
    return len(selected(parse_files([(name, path)], name), part).rows)
