"""Whatever a person or a broken editor does to a spec, the answer is a spec or diagnostics, never an exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.spec.diagnostics import render
from evalkit.spec.load import Loaded, LoadedRubric, LoadedTask, check

VALID = Path(__file__).parents[2] / "specs/valid"
TEXTS = [path.read_text("utf-8") for path in sorted(VALID.glob("*.yaml"))]
WORDS = [
    "null", "[]", "{}", "0", "-1", "1.5", "true", "'x'", "x", "[x]", "{x: 1}", "''",
    "${x}", "{bench: x}", "./x.yaml", "\\n",
    "evalkit", "task", "steps", "bench", "model", "policy", "suite", "split", "sample", "extends", "score", "prompt",
]  # fmt: skip


@st.composite
def _broken(draw: st.DrawFn) -> str:
    """A valid file with a few of its words, lines or characters replaced, removed or doubled."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(0, len(text) - 1)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from([*WORDS, "\n", " ", ": ", "  ", ", "])) + text[end:]
    return text


@st.composite
def _misused(draw: st.DrawFn) -> str:
    """A valid file with the value of one key replaced."""
    lines = draw(st.sampled_from(TEXTS)).splitlines()
    index = draw(st.integers(0, len(lines) - 1))
    key, colon, _ = lines[index].partition(": ")
    lines[index] = f"{key}{colon}{draw(st.sampled_from(WORDS))}"
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the valid specs name."""
    place = tmp_path_factory.mktemp("broken")
    (place / "shared").mkdir()
    for path in (VALID / "shared").glob("*.yaml"):
        (place / "shared" / path.name).write_bytes(path.read_bytes())
    return place


SETS = ["sample=1", "model=x", "steps=null", "a[0]=1"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=_broken() | _misused(),
    sets=st.lists(st.sampled_from(SETS), max_size=2),
)
def test_broken_specs_are_explained(folder: Path, text: str, sets: list[str]) -> None:
    """There is a spec exactly when there is no error, and every screen can be drawn."""
    path = folder / "x.yaml"
    path.write_text(text, "utf-8")
    checked = check(path, sets)
    value = _value(checked)
    failed = any(found.severity == "error" for found in checked.diagnostics)
    assert failed == (value is None)
    assert bool(render(checked.diagnostics, checked.sources)) == bool(checked.diagnostics)


def _value(loaded: Loaded | LoadedTask | LoadedRubric) -> object:
    if isinstance(loaded, LoadedRubric):
        return loaded.rubric
    return loaded.spec if isinstance(loaded, Loaded) else loaded.task
