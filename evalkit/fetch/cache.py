"""Cache folders that either fully exist or do not.

An entry is made in a temporary folder beside its final place, synced, renamed, and marked last: a kill at any
instant leaves nothing that looks finished. Two processes that want the same entry take turns on a file lock.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from evalkit.core.errors import PrerequisiteError

MARKER = ".complete"


def root() -> Path:
    """The user's cache folder: EVALKIT_CACHE, else the platform's own place."""
    chosen = os.environ.get("EVALKIT_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("evalkit")


def is_complete(place: Path) -> bool:
    """Whether a folder was made to its end."""
    return os.path.isfile(place / MARKER)  # unlike Path.is_file, it says no of what it may not look into


def find(kind: str, name: str) -> Path | None:
    """The finished entry `kind/name`, or None."""
    place = root() / kind / name
    return place if is_complete(place) else None


def obtain(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `kind/name`, made by `make(empty_folder)` unless it is finished already.

    `name` must be a content address or a pinned version: entries never change. When `make` raises, nothing is left.
    """
    found = find(kind, name)
    if found is not None:
        return found
    parent = root() / kind
    _make(parent)
    with making(parent / name):
        found = find(kind, name)
        if found is not None:
            return found
        with scratch_folder(parent) as scratch:
            make(scratch)
            return settle(scratch, parent / name)


def _make(folder: Path) -> None:
    """Raises PrerequisiteError where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unusable(folder, "it may not be written to")


def _unusable(folder: Path, why: str) -> PrerequisiteError:
    hint = "let EVALKIT_CACHE name a folder that you may write to"
    return PrerequisiteError(f"the cache folder {folder} cannot be used: {why}", hint=hint)


@contextmanager
def making(target: Path) -> Iterator[None]:
    """The right to settle `target`, one process and thread at a time. Its folder must be there."""
    with FileLock(target.parent / f"{target.name}.lock"):
        yield


@contextmanager
def turn(name: str) -> Iterator[None]:
    """The right to do what `name` says, one process and thread at a time. Raises PrerequisiteError without a folder."""
    _make(root())
    with making(root() / name):
        yield


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder in `parent`, gone at the end unless it was settled."""
    _make(parent)
    scratch = Path(tempfile.mkdtemp(prefix=".scratch-", dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settle(scratch: Path, target: Path) -> Path:
    """Give a filled temporary folder its name: sync it, rename it, mark it finished.

    To be called within `making(target)`, when `target` is not complete: an unmarked folder there is taken for the rest
    of a kill and removed, and without the lock it might be another process's, just renamed and not yet marked.
    """
    _sync_tree(scratch)
    if target.exists():  # left by a kill between rename and marker
        shutil.rmtree(target)
    scratch.chmod(0o755)
    scratch.rename(target)
    _sync(target.parent)
    (target / MARKER).touch()
    _sync(target / MARKER)
    _sync(target)
    return target


def write_file(target: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.chmod(0o644)
        scratch.replace(target)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _sync_tree(folder: Path) -> None:
    for place, _, files in os.walk(folder):
        for name in files:
            _sync(Path(place) / name)
        _sync(Path(place))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
