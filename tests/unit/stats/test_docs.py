"""The examples of docs/statistics.md, run."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import evalkit.stats

_PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"


def test_examples() -> None:
    """Each number printed there is what the code gives."""
    found = doctest.testfile(str(_PAGE), module_relative=False)
    assert 0 == found.failed
    assert 40 < found.attempted


def test_it_needs_nothing_else() -> None:
    """Importing all of it loads no numpy and no scipy, and not even `statistics`, which is slow."""
    modules = ", ".join(sorted(f"evalkit.stats.{path.stem}" for path in _stats().glob("[a-z]*.py")))
    code = f"import sys, {modules}; print(sorted({{'numpy', 'scipy', 'pandas', 'statistics'}} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "[]\n" == shown.stdout


def _stats() -> Path:
    return Path(evalkit.stats.__path__[0])
