"""What unit tests share: builders of sample rows, of verdicts, and of environments with their own interpreters."""

from __future__ import annotations

import sys
import venv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.types import Message, Outcome, Prompt, SampleRow, SamplingParams
from evalkit.core.verdicts import Game, Said, Side, VerdictRow, verdict_of


def build_row(**known: Any) -> SampleRow:
    """A row that passed, of step s, category c, item i0, with anything changed."""
    values: dict[str, Any] = dict(
        step="s", task="t", category="c", split="test", id="i0", sample=0, selected=True, model="m", policy="greedy",
        groups={}, prompt=Prompt(messages=(Message("user", "What?"),)), prompt_sha256=None, completion="0" * 64,
        text="That.", answer=None, outcome="pass", score=1.0, error_class=None, rule=None, tests_passed=None,
        tests_total=None, tests=(), exception=None, stdout=None, stderr=None, reason=None, finish_reason="stop",
        prompt_tokens=10, completion_tokens=4, seconds=0.5, sandbox_s=None, usd=None,
        effective=SamplingParams(max_tokens=64),
    )  # fmt: skip
    values |= known
    if values["outcome"] == "fail" and "score" not in known:
        values["score"] = 0.0
    if values["outcome"] == "void":
        values["score"] = None
    return SampleRow(**values)


def build_environment(folder: Path, *packages: str, versions: dict[str, str] | None = None) -> Path:
    """A virtual environment that sees some of this one's packages, and the metadata of others. Returns its packages'
    folder; the interpreter is `bin/python`."""
    venv.EnvBuilder(symlinks=True).create(folder)
    place = Path(folder, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    for package in packages:
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        (place / package).symlink_to(Path(found.origin).parent)
    for name, version in (versions or {}).items():
        (place / f"{name}-{version}.dist-info").mkdir()
        (place / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    return place


@pytest.fixture(scope="session")
def own_environment() -> Callable[..., Path]:
    """The builder of environments."""
    return build_environment


SAID: dict[str, tuple[Said | None, ...]] = {
    "win": ("first", "second"),
    "loss": ("second", "first"),
    "tie": ("tie", "tie"),
    "first": ("first", "first"),
    "second": ("second", "second"),
    "unread": (None, "first"),
    "one": ("first",),
}
RIGHT: dict[str, Outcome] = {"+": "pass", "-": "fail", "?": "unscored", "x": "void"}


def build_verdict(said: str = "win", right: str = "??", chars: tuple[int, int] = (100, 80), **known: Any) -> VerdictRow:
    """What judge j says of an item, in two games; `right` marks the player's answer and the opponent's; `again` is what
    it says when it is asked once more."""
    again = known.pop("again", None)
    games = [Game(swapped=bool(place), said=one) for place, one in enumerate(SAID[said])]
    if again is not None:
        games += [Game(swapped=bool(place), said=one, retest=1) for place, one in enumerate(SAID[again])]
    sides = [
        Side(f"{step}-answers", model, "0" * 64, length, length // 4, RIGHT[mark], {"+": 1.0, "-": 0.0}.get(mark))
        for step, model, length, mark in zip(("player", "opponent"), ("mine", "theirs"), chars, right, strict=True)
    ]
    values: dict[str, Any] = dict(
        step="duel", judge="j", judge_model="umpire", category="c", task="t", split="test", id="i0", sample=0,
        groups={}, player=sides[0], opponent=sides[1], games=tuple(games),
        verdict=verdict_of([game for game in games if not game.retest]),
    )  # fmt: skip
    return VerdictRow(**(values | known))


@pytest.fixture(scope="session")
def verdict() -> Callable[..., VerdictRow]:
    """The builder of verdicts."""
    return build_verdict


@pytest.fixture(scope="session")
def row() -> Callable[..., SampleRow]:
    """The builder of sample rows."""
    return build_row
