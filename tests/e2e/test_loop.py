"""The product: a spec runs end to end on the real model in the real sandbox, and survives what happens to runs."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
Need = Callable[[str], None]
_DEADLINE_S = 600


@pytest.mark.model
@pytest.mark.docker
def test_quickstart(project: ProjectFolder, need: Need) -> None:
    """Screen, report and results.json say the same; the second run asks nothing and changes no byte."""
    need("model")
    need("docker")
    done = project.evalkit("run", "specs/quickstart.yaml", "--limit", "4")
    assert done.code == 0, done.err
    folder = project.run_folder()
    assert str(folder.relative_to(project.path) / "report.md") in done.out
    results = project.results()["steps"]["bench"]
    report = (folder / "report.md").read_text()
    assert list(results["categories"]) == sorted(results["order"])
    for name, measure in results["categories"].items():
        assert (measure["n"], measure["scored"], measure["void"]) == (4, 4, 0), name
        shown = f"{100 * measure['score']:.1f} %"
        assert re.search(rf"{name}\b.*{shown}", done.out), done.out
        assert re.search(rf"{name}\b.*{shown}", report), report
    assert "partial" in report
    files = {
        name: (folder / name).read_bytes() for name in ("report.md", "results.json", "samples.jsonl", "evalkit.lock")
    }
    again = project.evalkit("run", "specs/quickstart.yaml", "--limit", "4")
    assert again.code == 0
    assert again.out == done.out
    assert files == {name: (folder / name).read_bytes() for name in files}
    assert not [event for event in project.events() if event["event"] == "progress" and event["tokens"]][3:]


@pytest.mark.model
def test_sigkill_in_the_middle(project: ProjectFolder, need: Need) -> None:
    """The process is killed while it generates: nothing stays behind, and the rerun asks only for what is missing."""
    need("model")
    spec = "evalkit: 1\nname: killed\nmodel: smollm2-135m\nsuite: [arithmetic]\nsample: 48\n"
    project.write({"killed.yaml": spec})
    process = subprocess.Popen(
        project.command("run", "killed.yaml"), cwd=project.path, env=project.env, stderr=subprocess.DEVNULL, text=True
    )
    stored_then = wait_for_rows(project.path / ".evalkit" / "store.db", 8, process)
    workers = workers_of(process.pid)
    assert len(workers) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(map(alive, workers)), "the worker ends with its parent")
    stored = stored_rows(project.path / ".evalkit" / "store.db")
    assert stored_then <= len(stored) < 48
    assert project.evalkit("ls").out.count("interrupted") == 1

    done = project.evalkit("run", "killed.yaml")
    assert done.code == 0, done.err
    assert project.results()["steps"]["bench"]["all"]["scored"] == 48
    [stage] = [event for event in project.events() if event["event"] == "stage"][1:]
    assert (stage["total"], stage["stored"]) == (48, len(stored))
    after = stored_rows(project.path / ".evalkit" / "store.db")
    assert len(after) == 48
    assert stored.items() <= after.items()


def stored_rows(path: Path) -> dict[str, bytes]:
    """Every stored completion."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        return dict(db.execute("select key, body from completions"))


def wait_for_rows(path: Path, count: int, process: subprocess.Popen[str]) -> int:
    """Wait until the store has some completions; returns how many."""

    def enough() -> bool:
        assert process.poll() is None, "the run ended before it could be killed"
        return path.exists() and _count(path) >= count

    wait_until(enough, f"{count} completions are stored")
    return _count(path)


def _count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        try:
            return int(db.execute("select count(*) from completions").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition; fails when it does not come true."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.05)


def workers_of(parent: int) -> list[int]:
    """The engine workers that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                status = (entry / "stat").read_text()
            except OSError:
                continue
            if b"evalkit.run.worker" in command and int(status.rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
