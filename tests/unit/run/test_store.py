"""The store: durable, idempotent, shared, and honest about a disk that is full."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.errors import PrerequisiteError, RunIncomplete
from evalkit.core.types import Completion, Execution, TestResult, Void
from evalkit.fetch import cache
from evalkit.run.store import SqliteStore, tree_digest


def completion(key: str, text: str = "an answer") -> Completion:
    return Completion(key, text, "stop", None, "p" * 64, 10, 3, 0.5)


def execution(key: str) -> Execution:
    return Execution(key, "wrong_answer", (TestResult(True, "a"), TestResult(False, "b", "1 != 2")))


def test_what_is_put_is_there_after_opening_again(tmp_path: Path) -> None:
    """A row survives the process that wrote it."""
    first = SqliteStore(tmp_path)
    first.put_completions([completion("k1"), completion("k2")])
    first.put_executions([execution("e1")])
    first.close()
    second = SqliteStore(tmp_path)
    assert second.completions(["k1", "k2", "k3"]) == {"k1": completion("k1"), "k2": completion("k2")}
    assert second.executions(["e1"]) == {"e1": execution("e1")}
    assert second.known("completions", ["k2", "k9"]) == {"k2"}
    assert second.check() == []


def test_the_first_answer_stays(tmp_path: Path) -> None:
    """A key is a content address: a second answer for it changes nothing."""
    store = SqliteStore(tmp_path)
    store.put_completions([completion("k", "first")])
    store.put_completions([completion("k", "second")])
    assert store.completions(["k"])["k"].text == "first"


def test_an_answer_ends_a_void(tmp_path: Path) -> None:
    """A void is remembered until the key has an answer; its last reason wins."""
    store = SqliteStore(tmp_path)
    store.put_voids([Void("k", "lost", "engine")])
    store.put_voids([Void("k", "lost again", "engine")])
    assert store.voids(["k"]) == {"k": Void("k", "lost again", "engine")}
    store.put_completions([completion("k")])
    assert store.voids(["k"]) == {}


@given(st.lists(st.text(), max_size=8))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """NUL bytes, line separators and astral characters are kept."""
    store = SqliteStore(tmp_path_factory.mktemp("store"))
    items = [completion(str(n), text) for n, text in enumerate(texts)]
    store.put_completions(items)
    assert list(store.completions([item.key for item in items]).values()) == items
    store.close()


def test_more_keys_than_one_query_takes(tmp_path: Path) -> None:
    """Look-ups are cut into pieces."""
    store = SqliteStore(tmp_path)
    keys = [f"k{n}" for n in range(1234)]
    store.put_completions([completion(key) for key in keys])
    assert len(store.completions(keys)) == 1234
    assert store.counts() == {"completions": 1234, "executions": 0, "voids": 0}


def test_two_stores_over_one_file(tmp_path: Path) -> None:
    """Two runs share what they obtain."""
    one, other = SqliteStore(tmp_path), SqliteStore(tmp_path)
    one.put_completions([completion("a")])
    other.put_completions([completion("a"), completion("b")])
    assert set(one.completions(["a", "b"])) == {"a", "b"}


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """SQLite is told that the disk ends here: the batch is refused whole, what was stored stays."""
    store = SqliteStore(tmp_path)
    store.put_completions([completion("kept")])
    (pages,) = store._db.execute("pragma page_count").fetchone()
    store._db.execute(f"pragma max_page_count={pages}")
    with pytest.raises(RunIncomplete, match="cannot be written: database or disk is full") as caught:
        store.put_completions([completion(f"k{n}", "x" * 4000) for n in range(50)])
    assert "run the same command again" in caught.value.hint
    assert store.counts()["completions"] == 1
    store._db.execute("pragma max_page_count=1073741823")
    store.put_completions([completion("later")])
    assert set(store.completions(["kept", "later"])) == {"kept", "later"}


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file in the way is a prerequisite, not a bug."""
    (tmp_path / "file").write_text("")
    with pytest.raises(PrerequisiteError, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "store")


def test_a_newer_store_is_not_touched(tmp_path: Path) -> None:
    """An old evalkit says 'upgrade' instead of guessing."""
    SqliteStore(tmp_path).close()
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("pragma user_version=99")
    with pytest.raises(PrerequisiteError, match="newer evalkit"):
        SqliteStore(tmp_path)


def test_an_artifact_is_kept_under_its_digest(tmp_path: Path) -> None:
    """The same content twice is one folder; a failed one leaves nothing."""
    store = SqliteStore(tmp_path)
    name = store.put_artifact(lambda folder: (folder / "a.txt").write_text("hello") and None)
    assert store.put_artifact(lambda folder: (folder / "a.txt").write_text("hello") and None) == name
    place = store.artifact(name)
    assert place is not None
    assert (place / "a.txt").read_text() == "hello"
    assert tree_digest(place) == name

    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.put_artifact(fail)
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} == {name, f"{name}.lock"}
    assert store.artifact("0" * 64) is None


def full_store(folder: Path) -> Path:
    """A closed store with many pages of rows; its file."""
    store = SqliteStore(folder)
    store.put_completions([completion(f"k{n}", "x" * 500) for n in range(200)])
    store.put_executions([execution("e")])
    store.put_voids([Void("v", "lost", "engine")])
    store.close()
    return folder / "store.db"


ACCESSES: dict[str, Callable[[SqliteStore], object]] = {
    "completions": lambda store: store.completions([f"k{n}" for n in range(200)]),
    "executions": lambda store: store.executions(["e"]),
    "voids": lambda store: store.voids(["v"]),
    "known": lambda store: store.known("completions", ["k1"]),
    "counts": lambda store: store.counts(),
    "put_completions": lambda store: store.put_completions([completion("new")]),
    "put_executions": lambda store: store.put_executions([execution("new")]),
    "put_voids": lambda store: store.put_voids([Void("new", "lost", "engine")]),
}


@pytest.mark.parametrize("access", ACCESSES)
def test_a_damaged_store_says_what_to_do(tmp_path: Path, access: str) -> None:
    """All pages but the first are noise: whatever is read or written, the file to move away is named."""
    path = full_store(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\x5a" * (len(content) - 4096))
    store = SqliteStore(tmp_path)
    with pytest.raises(PrerequisiteError, match="is damaged: database disk image is malformed") as caught:
        ACCESSES[access](store)
    assert caught.value.hint.startswith(f"move {path} away")
    store.close()


def test_a_damaged_store_can_be_moved_away(tmp_path: Path) -> None:
    """What the hint says helps."""
    path = full_store(tmp_path)
    path.write_bytes(b"\x5a" * 8192)
    path.rename(tmp_path / "damaged.db")
    store = SqliteStore(tmp_path)
    store.put_completions([completion("k")])
    assert set(store.completions(["k", "k1"])) == {"k"}


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    """Another folder would not mend it; the same hint as for pages of noise."""
    (tmp_path / "store.db").write_bytes(b"\x5a" * 8192)
    with pytest.raises(PrerequisiteError, match="is damaged: file is not a database") as caught:
        SqliteStore(tmp_path)
    assert caught.value.hint.startswith(f"move {tmp_path / 'store.db'} away")


@pytest.mark.parametrize("body", [b"{half", b'{"key": 1}', b'{"key": "\xff"}'])
def test_a_row_that_is_no_answer_is_damage(tmp_path: Path, body: bytes) -> None:
    """The pages are whole, but what one holds was not written by a store."""
    path = full_store(tmp_path)
    with sqlite3.connect(path) as db:
        db.execute("update completions set body = ? where key = 'k7'", (body,))
    with pytest.raises(PrerequisiteError, match="is damaged") as caught:
        SqliteStore(tmp_path).completions(["k7"])
    assert caught.value.hint.startswith(f"move {path} away")


def test_a_store_in_use_is_not_called_damaged(tmp_path: Path) -> None:
    """Another program holds it: nothing is to be moved away, and after it has ended the same call works."""
    store = SqliteStore(tmp_path)
    store._db.execute("pragma busy_timeout=0")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(RunIncomplete, match="cannot be written: database is locked") as caught:
        store.put_completions([completion("k")])
    assert "run the same command again" in caught.value.hint
    other.execute("rollback")
    other.close()
    store.put_completions([completion("k")])
    assert set(store.completions(["k"])) == {"k"}


def test_a_closed_store_is_a_bug(tmp_path: Path) -> None:
    """A mistake in evalkit does not send people to their disk."""
    store = SqliteStore(tmp_path)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.completions(["k"])


def test_two_that_make_one_artifact_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was just renamed and is not marked yet is not the rest of a kill: nobody removes it."""
    removed: list[Path] = []
    second_is_there = Event()
    names: list[str] = []

    def make(folder: Path) -> None:
        (folder / "a.txt").write_text("hello")

    def put_second() -> None:
        names.append(SqliteStore(tmp_path).put_artifact(make))
        second_is_there.set()

    second = Thread(target=put_second)
    acquire, sync, rmtree = FileLock.acquire, cache._sync, shutil.rmtree

    def arriving(lock: FileLock, *args: object, **options: object) -> object:
        if second.ident is not None:
            second_is_there.set()
        return acquire(lock, *args, **options)

    def sync_between(path: Path) -> None:
        """Between the first one's rename and its marker, the second one comes and goes as far as it can."""
        if path == tmp_path / "artifacts" and second.ident is None:
            second.start()
            assert second_is_there.wait(30)
        sync(path)

    def noted(path: Path, **options: bool) -> None:
        removed.append(Path(path))
        rmtree(path, **options)

    monkeypatch.setattr(FileLock, "acquire", arriving)
    monkeypatch.setattr(cache, "_sync", sync_between)
    monkeypatch.setattr(cache.shutil, "rmtree", noted)
    names.append(SqliteStore(tmp_path).put_artifact(make))
    second.join(30)
    assert names == [names[0]] * 2
    assert not [path for path in removed if path.name == names[0]]
    place = SqliteStore(tmp_path).artifact(names[0])
    assert place is not None
    assert (place / "a.txt").read_text() == "hello"
