"""What a diagnosis finds: numbers, tables, figures and findings in raw values. Words and rounding are the report's."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from evalkit.core.types import Json

Kind = Literal["text", "count", "share", "points", "number", "p", "interval", "range", "seconds", "usd", "texts"]
"""How a column is printed: `share` as per cent, `points` as a difference of shares, `p` as a probability, `interval` as
two shares, `range` as two numbers, `texts` as several texts. None is a dash everywhere."""


class Column(Struct, frozen=True):
    """A column of a table."""

    name: str
    kind: Kind = "text"


class DiagnosisTable(Struct, frozen=True):
    """A table of raw values, one tuple for each line in the order of the columns. `about` says how to read it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Json, ...], ...]
    about: str = ""


class Series(Struct, frozen=True):
    """Points of a figure. `low` and `high` are the ends of their intervals where there are any."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


class Figure(Struct, frozen=True):
    """A figure: what it shows, not how it looks. `ticks` name the places 0, 1, ... of the x axis of bars.

    `percent` says which axes hold shares. `name` is the stem of its file.
    """

    name: str
    kind: Literal["bars", "lines", "points"]
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    ticks: tuple[str, ...] = ()
    percent: tuple[Literal["x", "y"], ...] = ()


class Raised(Struct, frozen=True):
    """A rule that found its condition met: the code of the finding, the values of its evidence, and some samples.

    `samples` are names as `evalkit show` takes them (`STEP/ID`), at most ten of the `of_samples` that are meant.
    """

    code: str
    values: dict[str, Json] = {}
    samples: tuple[str, ...] = ()
    of_samples: int = 0


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What a `diagnose` step found. `metrics` are its named numbers; None is a number that cannot be had, and `notes`
    say why."""

    kind: Literal["diagnosis"] = "diagnosis"
    diagnosis: str
    of: tuple[str, ...]
    metrics: dict[str, float | None]
    tables: tuple[DiagnosisTable, ...] = ()
    figures: tuple[Figure, ...] = ()
    raised: tuple[Raised, ...] = ()
    notes: tuple[str, ...] = ()
