"""Every file under tests/specs: the valid ones load, each of the others has its whole screen as a golden file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evalkit import assets
from evalkit.spec import catalog, rubric_library
from evalkit.spec.diagnostics import render
from evalkit.spec.load import Loaded, LoadedRubric, LoadedTask, check

SPECS = Path(__file__).parents[2] / "specs"
Golden = Callable[[Path, str], None]


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (SPECS / folder).glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_specs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Screens show paths as they were given, from here short and everywhere the same, and nothing of what ships."""
    monkeypatch.chdir(SPECS)
    monkeypatch.setattr(assets, "folder", lambda name: tmp_path / name)
    catalog.shipped_tasks.cache_clear()
    rubric_library.shipped_rubrics.cache_clear()
    yield
    catalog.shipped_tasks.cache_clear()
    rubric_library.shipped_rubrics.cache_clear()


def _check(folder: str, name: str) -> Loaded | LoadedTask | LoadedRubric:
    sets = Path(folder, f"{name}.set")
    return check(Path(folder, f"{name}.yaml"), sets.read_text("utf-8").splitlines() if sets.exists() else [])


def _value(loaded: Loaded | LoadedTask | LoadedRubric) -> object:
    if isinstance(loaded, LoadedRubric):
        return loaded.rubric
    return loaded.spec if isinstance(loaded, Loaded) else loaded.task


@pytest.mark.parametrize("name", _names("invalid"))
def test_invalid_file_has_its_screen(name: str, golden: Golden) -> None:
    """A wrong file gives no value, at least one error, and exactly the golden screen."""
    loaded = _check("invalid", name)
    assert None is _value(loaded)
    assert any(found.severity == "error" for found in loaded.diagnostics)
    golden(SPECS / "invalid" / f"{name}.txt", render(loaded.diagnostics, loaded.sources))


@pytest.mark.parametrize("name", _names("warnings"))
def test_doubtful_file_has_its_screen(name: str, golden: Golden) -> None:
    """A doubtful file loads, and warns exactly as the golden screen does."""
    loaded = _check("warnings", name)
    assert None is not _value(loaded)
    assert all(found.severity == "warning" and found.code for found in loaded.diagnostics)
    golden(SPECS / "warnings" / f"{name}.txt", render(loaded.diagnostics, loaded.sources))


@pytest.mark.parametrize("name", _names("valid"))
def test_valid_file_loads_in_silence(name: str) -> None:
    """A valid file loads without error or warning."""
    loaded = _check("valid", name)
    assert render(loaded.diagnostics, loaded.sources) == ""
    assert None is not _value(loaded)


def test_every_golden_screen_belongs_to_a_file() -> None:
    """No screen is left over from a file that is gone."""
    left = [path for path in SPECS.glob("*/*.txt") if not path.with_suffix(".yaml").exists()]
    assert left == []
    assert len(_names("invalid")) >= 40
