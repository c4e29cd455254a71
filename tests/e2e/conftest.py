"""Whole runs: the installed command in an empty project folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"


class Done:
    """A finished command."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr


class ProjectFolder:
    """A project of a user: files in, commands run, run folders out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)}

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "evalkit", *arguments]

    def evalkit(self, *arguments: str, timeout_s: float = 900) -> Done:
        return Done(
            subprocess.run(
                self.command(*arguments),
                cwd=self.path,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        )

    def run_folder(self) -> Path:
        [folder] = [path.parent for path in (self.path / "runs").glob("*/run.json")]
        return folder

    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run_folder() / "results.json").read_text())
        return found

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run_folder() / "samples.jsonl").read_text().splitlines()]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run_folder() / "events.jsonl").read_text().splitlines()]


@pytest.fixture
def project(tmp_path: Path) -> ProjectFolder:
    """An empty project folder."""
    return ProjectFolder(tmp_path)


@pytest.fixture(scope="session")
def need() -> Callable[[str], None]:
    """Skips aloud when something is absent."""

    def check(what: str) -> None:
        problem = _missing(what)
        if problem is not None:
            pytest.skip(f"needs {what}: {problem}")

    return check


def _missing(what: str) -> str | None:
    if what == "data":
        return None if SHARED_DATA.is_dir() else f"no folder {SHARED_DATA}"
    if what == "docker":
        return _docker_problem()
    if what == "model":
        return _model_problem()
    raise ValueError(what)


def _docker_problem() -> str | None:
    import docker

    try:
        docker.from_env(timeout=10).ping()
    except (docker.errors.DockerException, OSError) as error:
        return str(error)
    return None


def _model_problem() -> str | None:
    from importlib.util import find_spec

    absent = [name for name in ("torch", "transformers", "gguf") if find_spec(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None
