"""The built wheel, in a clean virtual environment, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.network
def test_the_wheel_has_everything(tmp_path: Path) -> None:
    """Specs, templates and the sandbox ship in the wheel: check, plan, schema and init work without the checkout."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT],
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    empty = tmp_path / "empty"
    empty.mkdir()
    # Nothing of the checkout may help: a PYTHONPATH that names it would satisfy pip.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    install = [python, "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(install, cwd=empty, env=clean, check=True, capture_output=True)

    def evalkit(*arguments: str) -> str:
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "evalkit", *arguments],
            cwd=empty,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "no errors" in evalkit("check", "specs/quickstart.yaml")
    assert "no errors" in evalkit("check", "specs/rubrics/verbosity.yaml")
    plan = evalkit("plan", "specs/quickstart.yaml")
    for task in ("arithmetic", "code_basics", "humaneval"):
        assert task in plan
    assert '"$schema"' in evalkit("schema")
    evalkit("init", "first")
    assert "no errors" in evalkit("check", "first/first.yaml")
    assert "70.0 %" in evalkit("run", "first/first.yaml")
    where = "import evalkit.assets as a; print(a.folder('sandbox').is_relative_to(%r))"
    inside = subprocess.run(
        [python, "-c", where % str(tmp_path / "venv")], cwd=empty, env=clean, capture_output=True, text=True, check=True
    )
    assert inside.stdout == "True\n"
