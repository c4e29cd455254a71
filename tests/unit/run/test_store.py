"""The store: durable, idempotent, shared, and honest about a disk that is full."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.errors import PrerequisiteError, RunIncomplete
from evalkit.core.types import Completion, Execution, TestResult, Void
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
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [name]
    assert store.artifact("0" * 64) is None
