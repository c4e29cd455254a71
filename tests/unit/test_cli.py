"""The command line: every command on a project that needs neither model nor Docker, and every exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit import cli, project
from evalkit.core import errors


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The starter project, entered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert cli._run(["init"]) == 0
    return tmp_path


def test_the_starter_runs_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """init, check, plan, run, ls, show, report: the first ten minutes of a user."""
    assert cli._run(["check", "first.yaml"]) == 0
    assert cli._run(["plan", "first.yaml", "--json"]) == 0
    [step] = json.loads(capsys.readouterr().out.partition("\n[")[2].join(("[", "")))
    assert (step["requests"], step["cached"], step["why"]) == (10, 0, "first run of this step")
    assert cli._run(["run", "first.yaml"]) == 0
    screen = capsys.readouterr().out
    assert "70.0 %" in screen
    [run] = (folder / "runs").iterdir()
    results = json.loads((run / "results.json").read_text())["steps"]["bench"]["all"]
    assert (results["n"], results["scored"], results["void"], results["score"]) == (10, 10, 0, 0.7)
    assert "70.0 %" in (run / "report.md").read_text()
    for command in (["ls"], ["ls", "tasks"], ["show", "last"], ["show", "last", "5"], ["report", "last"]):
        assert cli._run(command) == 0, command
    shown = capsys.readouterr().out
    assert "Toronto" in shown
    assert "expected Ottawa" in shown
    assert cli._run(["plan", "first.yaml"]) == 0
    assert "every answer is stored" in capsys.readouterr().out


def test_the_same_run_again_changes_no_byte(folder: Path) -> None:
    """Same spec, same store: the same report, results, rows and lock."""
    names = ("report.md", "results.json", "samples.jsonl", "samples.parquet", "evalkit.lock", "spec.lock.yaml")
    assert cli._run(["run", "first.yaml"]) == 0
    [run] = (folder / "runs").iterdir()
    first = {name: (run / name).read_bytes() for name in names}
    assert cli._run(["run", "first.yaml"]) == 0
    assert first == {name: (run / name).read_bytes() for name in names}
    (run / "report.md").unlink()
    assert cli._run(["report", run.name]) == 0
    assert first["report.md"] == (run / "report.md").read_bytes()


def test_fresh_limited_and_changed_runs_have_folders_of_their_own(folder: Path) -> None:
    """A run is its spec with its restrictions; `--fresh` opens a new one."""
    assert cli._run(["run", "first.yaml"]) == 0
    assert cli._run(["run", "first.yaml", "--limit", "3"]) == 0
    assert cli._run(["run", "first.yaml", "--set", "seed=7"]) == 0
    assert cli._run(["run", "first.yaml", "--fresh"]) == 0
    assert len(list((folder / "runs").iterdir())) == 4
    limited = [run for run in (folder / "runs").iterdir() if json.loads((run / "run.json").read_text())["limit"] == 3]
    assert "partial" in (limited[0] / "report.md").read_text()
    assert len((limited[0] / "samples.jsonl").read_text().splitlines()) == 3


def test_the_report_goes_where_the_spec_says(folder: Path) -> None:
    """`report:` names a second place for the page."""
    assert cli._run(["run", "first.yaml", "--set", "report=out/first.md"]) == 0
    [run] = (folder / "runs").iterdir()
    assert (folder / "out" / "first.md").read_bytes() == (run / "report.md").read_bytes()


def test_expand_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The long form is a spec that gives the same long form; `--why` names file and line."""
    capsys.readouterr()
    assert cli._run(["expand", "first.yaml"]) == 0
    long = capsys.readouterr().out
    (folder / "long.yaml").write_text(long)
    assert cli._run(["expand", "long.yaml"]) == 0
    assert capsys.readouterr().out == long
    assert cli._run(["expand", "first.yaml", "--why", "steps.bench.policy.default"]) == 0
    assert capsys.readouterr().out.startswith("first.yaml:")


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init refuses."""
    assert cli._run(["init"]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run"], 2, "Missing argument"),
        (["run", "first.yaml", "--limit", "0"], 2, "--limit"),
        (["run", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["run", "first.yaml", "--only", "bensh"], 2, "bensh"),
        (["run", "first.yaml", "--set", "model=nothing"], 2, "nothing"),
        (["show", "nothing"], 2, "no run is called 'nothing'"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_commands(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """Exit 2, a sentence, and nothing ran."""
    assert cli._run(arguments) == code
    assert said in capsys.readouterr().err
    assert not list((folder / "runs").glob("*/samples.jsonl"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.GateFailed("missed"), 1),
        (errors.SpecError("wrong"), 2),
        (errors.DataError("bad row"), 2),
        (errors.PrerequisiteError("absent"), 4),
        (errors.RunIncomplete("stopped"), 4),
        (errors.ContractError("ignored"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a bug"), 3),
    ],
)
def test_exit_codes(folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    """The model is worse, the spec is wrong, the run broke: each has its own code."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(project, "run", fail)
    assert cli._run(["run", "first.yaml"]) == code
    assert (folder / ".evalkit" / "bug.log").exists() == (code == 3)


def test_a_starter_that_cannot_be_written_is_an_error_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be, and a place where nobody can make one."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file/deep", Path("/proc/nowhere")):
        assert cli._run(["init", str(place)]) == 2
        captured = capsys.readouterr()
        assert "cannot be written" in captured.out + captured.err
