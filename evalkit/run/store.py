"""The memory of all runs of a project: SQLite in WAL mode, one row a completion, an execution, a void.

Everything put is on the disk when the call returns (`synchronous=FULL`), so a kill at any instant loses at most what
was never counted. Rows are addressed by content and never change: writing one twice is harmless, and two runs may share
one store. Folders (adapters, data sets) are artifacts, placed whole or not at all. A file that is damaged is said, with
what to do about it, and never read around.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TypeVar

import msgspec
from msgspec import Struct

from evalkit.core.digest import digest_file
from evalkit.core.errors import PrerequisiteError, RunIncomplete
from evalkit.core.types import Completion, Execution, Void
from evalkit.fetch import cache

VERSION = 1
_CHUNK = 500  # keys a query; SQLite's own limit on variables is far higher
_BUSY_MS = 60_000
_TABLES = """
create table if not exists completions (key text primary key, body blob not null) strict;
create table if not exists executions (key text primary key, body blob not null) strict;
create table if not exists voids (key text primary key, body blob not null) strict;
"""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_Row = TypeVar("_Row", bound=Struct)


class SqliteStore:
    """The Store port over one SQLite file. Thread-safe; open it once a process."""

    def __init__(self, folder: Path) -> None:
        """Open or make the store in `folder` (`.evalkit`). Raises PrerequisiteError when that is impossible."""
        self._folder = folder
        self._lock = RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / "store.db", check_same_thread=False, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            if _is_damage(error):
                raise self._damaged(error) from error
            raise PrerequisiteError(
                f"the store in {folder} cannot be opened: {error}",
                hint="give a folder that can be written to, or another one with --store",
            ) from error

    def _prepare(self) -> None:
        self._db.execute(f"pragma busy_timeout={_BUSY_MS}")
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        (version,) = self._db.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise PrerequisiteError(
                f"the store in {self._folder} was written by a newer evalkit (version {version})",
                hint="upgrade evalkit, or give another folder with --store",
            )
        self._db.executescript(_TABLES)
        self._db.execute(f"pragma user_version={VERSION}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # completions, executions, voids

    def completions(self, keys: Sequence[str]) -> dict[str, Completion]:
        return self._get("completions", keys, Completion)

    def put_completions(self, completions: Sequence[Completion]) -> None:
        self._put("completions", completions)

    def executions(self, keys: Sequence[str]) -> dict[str, Execution]:
        return self._get("executions", keys, Execution)

    def put_executions(self, executions: Sequence[Execution]) -> None:
        self._put("executions", executions)

    def voids(self, keys: Sequence[str]) -> dict[str, Void]:
        return self._get("voids", keys, Void)

    def put_voids(self, voids: Sequence[Void]) -> None:
        """Record what could not be measured. What has an answer since stays answered; the last reason wins."""
        rows = [(void.key, msgspec.json.encode(void)) for void in voids]
        with self._transaction() as db:
            db.executemany("insert or replace into voids (key, body) values (?, ?)", rows)

    def known(self, table: str, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that `completions` or `executions` has, without reading their bodies."""
        found: set[str] = set()
        for some in _chunks(list(keys)):
            marks = ",".join("?" * len(some))
            with self._guarded("read") as db:
                rows = db.execute(f"select key from {_table(table)} where key in ({marks})", some)
                found.update(key for (key,) in rows)
        return found

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        with self._guarded("read") as db:
            return {
                name: db.execute(f"select count(*) from {name}").fetchone()[0]
                for name in ("completions", "executions", "voids")
            }

    def check(self) -> list[str]:
        """SQLite's own integrity check: the problems found, normally none."""
        with self._guarded("read") as db:
            lines = [line for (line,) in db.execute("pragma integrity_check")]
        return [] if lines == ["ok"] else lines

    def _get(self, table: str, keys: Sequence[str], kind: type[_Row]) -> dict[str, _Row]:
        found: dict[str, _Row] = {}
        for some in _chunks(keys):
            marks = ",".join("?" * len(some))
            with self._guarded("read") as db:
                rows = db.execute(f"select key, body from {_table(table)} where key in ({marks})", some)
                found.update((key, msgspec.json.decode(body, type=kind)) for key, body in rows)
        return found

    def _put(self, table: str, items: Sequence[Completion] | Sequence[Execution]) -> None:
        rows = [(item.key, msgspec.json.encode(item)) for item in items]
        with self._transaction() as db:
            db.executemany(f"insert or ignore into {_table(table)} (key, body) values (?, ?)", rows)
            db.executemany("delete from voids where key = ?", [(key,) for key, _ in rows])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guarded("written") as db:
            try:
                db.execute("begin immediate")
                yield db
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    with suppress(sqlite3.Error):  # the first error says more than a second one about the same file
                        db.execute("rollback")
                raise

    @contextmanager
    def _guarded(self, what: str) -> Iterator[sqlite3.Connection]:
        """The connection, alone. `what` is "read" or "written".

        Raises PrerequisiteError for a damaged file, RunIncomplete for whatever else SQLite could not do.
        """
        with self._lock:
            try:
                yield self._db
            except (sqlite3.ProgrammingError, sqlite3.IntegrityError):  # mistakes of ours: nothing that a user can mend
                raise
            except (sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
                if _is_damage(error):
                    raise self._damaged(error) from error
                raise RunIncomplete(
                    f"the store in {self._folder} cannot be {what}: {error}",
                    hint="make room on the disk (or end what holds the store) and run the same command again: "
                    "everything stored so far is kept",
                ) from error

    def _damaged(self, error: Exception) -> PrerequisiteError:
        path = self._folder / "store.db"
        return PrerequisiteError(
            f"the store in {self._folder} is damaged: {error}",
            hint=f"move {path} away (with {path.name}-wal and {path.name}-shm, where they are there) and run the same "
            "command again: what only the damaged file had is asked for anew",
        )

    # artifacts

    def artifact(self, digest: str) -> Path | None:
        place = self._folder / "artifacts" / digest
        return place if cache.is_complete(place) else None

    def put_artifact(self, make: Callable[[Path], None]) -> str:
        """A folder filled by `make`, kept under the digest of its files. Half a folder never gets a name."""
        artifacts = self._folder / "artifacts"
        with cache.scratch_folder(artifacts) as scratch:
            make(scratch)
            name = tree_digest(scratch)
            with cache.making(artifacts / name):
                if not cache.is_complete(artifacts / name):
                    cache.settle(scratch, artifacts / name)
        return name


def tree_digest(folder: Path) -> str:
    """sha256 over the relative names and contents of all files of a folder."""
    state = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != cache.MARKER):
        state.update(f"{path.relative_to(folder).as_posix()}\0{digest_file(path)}\n".encode())
    return state.hexdigest()


def _is_damage(error: Exception) -> bool:
    """Whether the file holds something else than what was written, not merely something in its way."""
    if isinstance(error, sqlite3.Error):
        # the low byte is the primary code, the rest tells its kinds apart
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
    return isinstance(error, msgspec.DecodeError | UnicodeDecodeError)


def _table(name: str) -> str:
    """Table names are never taken from outside; this keeps it so."""
    if name not in {"completions", "executions", "voids"}:
        raise ValueError(name)
    return name


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
