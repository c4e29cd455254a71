"""Figures as SVG files: the same figure always gives the same bytes. matplotlib is imported only to draw.

They are made to be read in black and white: marks, hatches and kinds of line tell series apart, not colours alone.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.core.diagnosis import Diagnosis, Figure, Series
from evalkit.core.runfolder import FIGURES
from evalkit.fetch.cache import write_file

Axes: TypeAlias = Any
"""matplotlib's, which the type checker may not have."""

_COLOURS = ("#1f3b63", "#c4712b", "#4d8a57", "#8a5a83", "#6b6b6b", "#a3a13a")
_MARKS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
_HATCHES = ("", "///", "...", "xxx", "---", "\\\\\\")
_STYLE = {
    "svg.hashsalt": "evalkit",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
}
_SIZE = (6.4, 3.6)
_MANY_CHARACTERS = 60


def draw_all(folder: Path, diagnoses: Mapping[str, Diagnosis]) -> dict[str, str]:
    """Draw every figure of a run into its folder; figures of an earlier report that are no more are taken away.

    Returns the path of each, relative to the run folder, by `STEP-NAME`; nothing where matplotlib is not installed.
    """
    wanted = {f"{step}-{figure.name}": figure for step, one in diagnoses.items() for figure in one.figures}
    target = folder / FIGURES
    if not wanted or not available():
        shutil.rmtree(target, ignore_errors=True)
        return {}
    target.mkdir(exist_ok=True)
    for name, figure in wanted.items():
        write_file(target / f"{name}.svg", draw(figure))
    for path in target.iterdir():
        if path.stem not in wanted:
            path.unlink()
    return {name: f"{FIGURES}/{name}.svg" for name in wanted}


def available() -> bool:
    """Whether figures can be drawn here."""
    return find_spec("matplotlib") is not None


def draw(figure: Figure, form: str = "svg") -> bytes:
    """The figure as a file of this form."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_STYLE):
        canvas = Canvas(figsize=_SIZE, layout="constrained")
        axes = canvas.subplots()
        {"bars": _bars, "lines": _lines, "points": _points}[figure.kind](axes, figure)
        _dress(axes, figure)
        stream = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if form == "svg" else {}
        canvas.savefig(stream, format=form, metadata=metadata)
    return stream.getvalue()


def _bars(axes: Axes, figure: Figure) -> None:
    width = 0.8 / max(1, len(figure.series))
    for number, series in enumerate(figure.series):
        places = [x - 0.4 + width * (number + 0.5) for x in series.x]
        heights = [y or 0.0 for y in series.y]
        look = {"color": _COLOURS[number % 6], "hatch": _HATCHES[number % 6], "edgecolor": "white", "linewidth": 0.5}
        axes.bar(places, heights, width * 0.92, label=series.name, **look)
        _whiskers(axes, places, series, number)


def _lines(axes: Axes, figure: Figure) -> None:
    few = all(len(series.x) <= 12 for series in figure.series)
    for number, series in enumerate(figure.series):
        known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
        mark = _MARKS[number % 6] if few else None
        axes.plot(
            [x for x, _ in known],
            [y for _, y in known],
            color=_COLOURS[number % 6],
            linestyle=_LINES[number % 6],
            marker=mark,
            markersize=5,
            label=series.name,
        )
        _whiskers(axes, list(series.x), series, number)


def _points(axes: Axes, figure: Figure) -> None:
    shift = 0.12 if figure.ticks else 0.0
    for number, series in enumerate(figure.series):
        places = [x + shift * (number - (len(figure.series) - 1) / 2) for x in series.x]
        known = [(x, y) for x, y in zip(places, series.y, strict=True) if y is not None]
        look = {"color": _COLOURS[number % 6], "marker": _MARKS[number % 6]}
        axes.plot([x for x, _ in known], [y for _, y in known], linestyle="none", label=series.name, **look)
        _whiskers(axes, places, series, number)


def _whiskers(axes: Axes, places: list[float], series: Series, number: int) -> None:
    for x, low, high in zip(places, series.low, series.high, strict=False):
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=_COLOURS[number % 6], linewidth=1.0, alpha=0.9)


def _dress(axes: Axes, figure: Figure) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set_title(figure.title, loc="left", fontsize=10)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    if figure.ticks:
        slanted = sum(map(len, figure.ticks)) > _MANY_CHARACTERS
        axes.set_xticks(
            range(len(figure.ticks)), figure.ticks, rotation=30 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.grid(visible=False, axis="x")
    if "x" in figure.percent:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if "y" in figure.percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_ylim(0.0, 1.02)
    if len(figure.series) > 1:
        axes.legend(frameon=False, fontsize=8, loc="best")
