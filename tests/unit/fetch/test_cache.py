"""Cache folders are whole or absent; packages are read, never run."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.engines.filedigest import cached_digest
from evalkit.fetch import cache, package


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_an_entry_is_made_once() -> None:
    """The second time it is found."""
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "weights").write_text("w")

    first, second = cache.obtain("kind", "name", make), cache.obtain("kind", "name", make)
    assert (first, 1, "w") == (second, len(made), (first / "weights").read_text())
    assert first == cache.find("kind", "name")


def test_a_failure_leaves_nothing_that_looks_finished(own_cache: Path) -> None:
    """Neither an entry nor a scratch folder; the next attempt succeeds."""

    def broken(folder: Path) -> None:
        (folder / "half").write_text("h")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        cache.obtain("kind", "name", broken)
    assert cache.find("kind", "name") is None
    assert [own_cache / "kind/name.lock"] == list((own_cache / "kind").iterdir())
    assert cache.obtain("kind", "name", lambda folder: None).is_dir()


def test_a_folder_without_its_marker_is_made_again(own_cache: Path) -> None:
    """That is what a kill between renaming and marking leaves."""
    stale = own_cache / "kind/name"
    stale.mkdir(parents=True)
    (stale / "old").touch()
    place = cache.obtain("kind", "name", lambda folder: (folder / "new").touch())
    assert ["new"] == [path.name for path in place.iterdir() if not path.name.startswith(".")]


def test_the_right_to_make_is_exclusive(own_cache: Path) -> None:
    """Who would settle the same folder waits, who makes another one does not."""
    own_cache.mkdir()
    with cache.making(own_cache / "name"), cache.making(own_cache / "other"), pytest.raises(Timeout):
        FileLock(own_cache / "name.lock").acquire(blocking=False)
    FileLock(own_cache / "name.lock").acquire(blocking=False).lock.release()


def test_a_cache_folder_that_cannot_be_used_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a file stands where the folder should."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(PrerequisiteError, match=r"the cache folder .*file/kind cannot be used: ") as caught:
        cache.obtain("kind", "name", lambda folder: None)
    assert "EVALKIT_CACHE" in caught.value.hint
    with pytest.raises(PrerequisiteError, match="cannot be used"), cache.scratch_folder(tmp_path / "file/kind"):
        pass


def test_a_cache_folder_that_may_not_be_written_to_says_what_to_do(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system says no; root may write anywhere, so its word is taken from here."""
    (own_cache / "kind").mkdir(parents=True)
    monkeypatch.setattr(cache.os, "access", lambda path, mode: False)
    with pytest.raises(PrerequisiteError, match="cannot be used: it may not be written to"):
        cache.obtain("kind", "name", lambda folder: None)


def test_a_digest_needs_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remembering it only saves time."""
    (tmp_path / "file").write_bytes(b"abc")
    os.utime(tmp_path / "file", (1, 1))
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "file"))
    assert hashlib.sha256(b"abc").hexdigest() == cached_digest(tmp_path / "file")


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """New content, no scratch file beside it."""
    target = tmp_path / "deep/file"
    cache.write_file(target, b"one")
    cache.write_file(target, b"two")
    assert (b"two", [target]) == (target.read_bytes(), list(target.parent.iterdir()))


def test_a_member_that_is_not_in_the_wheel_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that was reorganised."""
    with zipfile.ZipFile(tmp_path / "empty-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("empty-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: empty\nVersion: 1.0\n")
        wheel.writestr("empty-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("empty-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DataError, match=r"empty-1\.0-py3-none-any\.whl has no member 'data\.jsonl'"):
        package.member("empty==1.0", "data.jsonl", "0" * 64, lambda sentence: None)
    assert package.cached("0" * 64) is None


def test_an_unreachable_index_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's own last line, and a hint."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"nowhere==1\.0 could not be fetched") as caught:
        package.member("nowhere==1.0", "data.jsonl", "0" * 64, lambda sentence: None)
    assert caught.value.hint.startswith("connect to a package index")
