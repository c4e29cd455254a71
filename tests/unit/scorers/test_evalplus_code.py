"""The extraction `evalplus` against EvalPlus itself: what its sanitizer gave was written down once
(tests/data/make_evalplus_extractions.py)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evalkit.scorers.evalplus_code import longest_run, sanitize
from evalkit.scorers.extract_code import Code, extract

_FOLDER = Path(__file__).parents[2] / "data"
_PUBLISHED = Path(__file__).parents[3].resolve().parent / "shared/data"
_EXPECTED: dict[str, Any] = json.loads((_FOLDER / "evalplus_extractions.json").read_text("utf-8"))


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("maker", _FOLDER / "make_evalplus_extractions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()


@pytest.mark.parametrize("number", range(len(MAKER.OWN)))
def test_our_own_texts(number: int) -> None:
    """Prose, doubles, comments at the end of bodies, decorators, odd line ends."""
    text, entry_point = MAKER.OWN[number]
    assert _EXPECTED["own"][number] == sanitize(text, entry_point)


@pytest.mark.skipif(not _PUBLISHED.is_dir(), reason="the published files of ../shared/data are not here")
def test_published_answers() -> None:
    """All 7,360 published answers, with and without their entry point."""
    found = {name: MAKER.summary(cases, sanitize) for name, cases in MAKER.published(_PUBLISHED)}
    assert 7360 == sum(one["answers"] for one in found.values())
    assert _EXPECTED["published"] == found


def test_the_rule_is_named() -> None:
    """As an option of the code scorer; an answer of nothing holds no program."""
    assert Code("def f():\n    return 1", "evalplus") == extract("def f():\n    return 1\n", "evalplus", "f")
    assert Code(None, None) == extract(" \n ", "evalplus", "f")


def test_long_prose_takes_no_time() -> None:
    """Two thousand lines in which nothing parses: a run is not tried again for each of its ends."""
    lines = ["And so it isn't: this goes on."] * 2000
    assert lines[0] == longest_run("\n".join(lines))
