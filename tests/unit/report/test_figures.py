"""Figures: the same bytes each time, whole files, and nothing left of what is no more."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest

from evalkit.core.diagnosis import Diagnosis, Figure, Series
from evalkit.report import figures

BARS = Figure(
    name="bars",
    kind="bars",
    title="A title with <angles> & more",
    x_label="category",
    y_label="share",
    series=(
        Series("first", (0.0, 1.0), (0.25, None), (0.1, None), (0.4, None)),
        Series("second", (0.0, 1.0), (0.5, 1.0)),
    ),
    ticks=("math", "code"),
    percent=("y",),
)


def like(kind: Literal["bars", "lines", "points"], name: str = "f") -> Figure:
    return Figure(name, kind, "T", "x", "y", BARS.series, BARS.ticks if kind != "lines" else (), ("x", "y"))


def diagnosis(*some: Figure) -> Diagnosis:
    return Diagnosis(diagnosis="diversity", of=("s",), metrics={}, figures=some)


@pytest.mark.parametrize("figure", [BARS, like("lines"), like("points")], ids=lambda figure: figure.kind)
def test_the_same_figure_gives_the_same_bytes(figure: Figure) -> None:
    """Well-formed, with title and labels as text, and nothing of the clock in it."""
    content = figures.draw(figure)
    assert content == figures.draw(figure)
    texts = [node.text for node in ElementTree.fromstring(content).iter("{http://www.w3.org/2000/svg}text")]
    assert {figure.title, figure.x_label, figure.y_label, "first", "second"} <= set(texts)
    assert b"<dc:date>" not in content


def test_files_are_named_after_step_and_figure(tmp_path: Path) -> None:
    """A later report takes away what it does not have any more."""
    drawn = figures.draw_all(tmp_path, {"spread": diagnosis(BARS, like("lines", "other"))})
    assert drawn == {"spread-bars": "figures/spread-bars.svg", "spread-other": "figures/spread-other.svg"}
    assert (tmp_path / "figures/spread-bars.svg").read_bytes() == figures.draw(BARS)
    figures.draw_all(tmp_path, {"spread": diagnosis(BARS)})
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["spread-bars.svg"]
    assert figures.draw_all(tmp_path, {}) == {}
    assert not (tmp_path / "figures").exists()


def test_without_matplotlib_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the report does not need it."""
    monkeypatch.setattr(figures, "available", lambda: False)
    assert figures.draw_all(tmp_path, {"spread": diagnosis(BARS)}) == {}
    assert not (tmp_path / "figures").exists()
