"""Shipped documents are found by the name that they have in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit import assets
from evalkit.spec import catalog
from evalkit.spec.load import load_spec

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that ships one spec and one task, seen from an empty folder."""
    folder = tmp_path / "package/specs"
    (folder / "tasks").mkdir(parents=True)
    task = (SPECS / "valid/shared/toy.yaml").read_text("utf-8")
    (folder / "tasks/toy.yaml").write_text(task, "utf-8")
    (folder / "quick.yaml").write_text("evalkit: 1\nmodel: smollm2-135m\nsuite: [toy]\n", "utf-8")
    monkeypatch.setattr(assets, "folder", lambda name: tmp_path / "package" / name)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    catalog.shipped_tasks.cache_clear()
    yield folder
    catalog.shipped_tasks.cache_clear()


def test_shipped_spec_and_task_are_found(shipped: Path) -> None:
    """`specs/quick.yaml` works from an empty folder, and its task by its name; screens show the names."""
    loaded = load_spec(Path("specs/quick.yaml"))
    assert loaded.diagnostics == ()
    assert loaded.spec is not None
    assert loaded.spec.tasks["toy"].folder == shipped / "tasks"
    assert list(loaded.sources) == ["specs/quick.yaml", "specs/tasks/toy.yaml"]


def test_own_file_wins_over_the_shipped_one(shipped: Path) -> None:
    """A file that is there is that file."""
    Path("specs").mkdir()
    Path("specs/quick.yaml").write_text("evalkit: 1\n", "utf-8")
    assert catalog.find_document(Path("specs/quick.yaml")).path == Path("specs/quick.yaml")


def test_misspelt_shipped_spec_is_suggested(shipped: Path) -> None:
    """Also where nothing lies in the current folder."""
    assert catalog.find_document(Path("specs/quik.yaml")).hint == "did you mean 'specs/quick.yaml'?"


def test_nothing_outside_of_the_package_is_taken_from_it(shipped: Path) -> None:
    """`..` does not leave the shipped folder."""
    (shipped.parent / "secret.yaml").write_text("evalkit: 1\n", "utf-8")
    found = catalog.find_document(Path("specs/../secret.yaml"))
    assert not found.path.exists()


def test_own_task_hides_a_shipped_one(shipped: Path) -> None:
    """A task inline under `tasks:` is meant before one that ships."""
    text = (
        "evalkit: 1\nmodel: smollm2-135m\nsuite: [toy]\ntasks:\n  toy:\n    data: [{file: own.jsonl}]\n"
        "    id: '{{ id }}'\n    prompt: '{{ q }}'\n    score: {exact: '{{ a }}'}\n"
    )
    Path("own.yaml").write_text(text, "utf-8")
    spec = load_spec(Path("own.yaml")).spec
    assert spec is not None
    assert spec.tasks["toy"].data["test"][0].file == "own.jsonl"
    assert spec.tasks["toy"].folder == Path.cwd()
