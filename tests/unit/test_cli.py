"""The command line: every command on a project that needs neither model nor Docker, and every exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
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


def test_sandbox_is_one_override_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--sandbox KIND` is in the long form, as if the spec said it; an unknown kind is a mistake in the spec."""
    assert cli._run(["run", "first.yaml", "--sandbox", "local", "--set", "seed=7"]) == 0
    [run] = (folder / "runs").iterdir()
    written = (run / "spec.lock.yaml").read_text()
    assert "kind: local" in written
    assert "seed: 7" in written
    assert json.loads((run / "run.json").read_text())["sandbox_warning"] == ""  # no program was run
    assert cli._run(["run", "first.yaml", "--sandbox", "chroot"]) == 2
    assert "chroot" in capsys.readouterr().err


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


def test_the_report_goes_where_the_spec_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`report:` names a second place for the page; a partial run never overwrites a whole one there."""
    assert cli._run(["run", "first.yaml", "--set", "report=out/first.md"]) == 0
    [run] = (folder / "runs").iterdir()
    whole = (run / "report.md").read_bytes()
    assert (folder / "out" / "first.md").read_bytes() == whole
    assert cli._run(["run", "first.yaml", "--set", "report=out/first.md", "--limit", "2"]) == 0
    assert (folder / "out" / "first.md").read_bytes() == whole
    assert "this run is not the whole of its spec" in capsys.readouterr().err
    assert cli._run(["run", "first.yaml", "--set", "report=/proc/nowhere/first.md"]) == 0
    assert "could not be copied to /proc/nowhere/first.md" in capsys.readouterr().err


def test_export(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into the run folder or elsewhere; the files are named, an unknown form names those that are known."""
    assert cli._run(["run", "first.yaml"]) == 0
    assert cli._run(["export", "last", "--to", "csv", "--into", "tables"]) == 0
    assert "wrote tables/evaluation_results.csv" in capsys.readouterr().out
    assert 11 == len((folder / "tables/answers.csv").read_text().splitlines())
    assert cli._run(["export", "last", "--to", "xlsx"]) == 0
    [run] = (folder / "runs").iterdir()
    assert (run / f"{run.name}.xlsx").is_file()
    assert cli._run(["export", "last", "--to", "xls"]) == 2
    assert "did you mean 'xlsx'?" in capsys.readouterr().err


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
def test_exit_codes(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    """The model is worse, the spec is wrong, the run broke: each has its own code."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(project, "run", fail)
    assert cli._run(["run", "first.yaml"]) == code
    assert ("run the same command again to continue" in capsys.readouterr().err) == (code == 130)
    assert (folder / ".evalkit" / "bug.log").exists() == (code == 3)


def test_a_failed_rerun_leaves_a_complete_run_as_it_was(folder: Path) -> None:
    """Report, lock and rows go on belonging together."""
    assert cli._run(["run", "first.yaml"]) == 0
    [run] = (folder / "runs").iterdir()
    names = ("run.json", "evalkit.lock", "samples.jsonl", "results.json", "report.md")
    before = {name: (run / name).read_bytes() for name in names}
    (folder / "answers.jsonl").write_text('{"id": "1"}\n')
    assert cli._run(["run", "first.yaml"]) == 2
    assert before == {name: (run / name).read_bytes() for name in names}


def test_a_run_is_complete_only_when_its_report_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted while the report is made: no older results are taken for the new rows', and the rerun finishes."""
    from evalkit.report import write

    assert cli._run(["run", "first.yaml"]) == 0
    [run] = (folder / "runs").iterdir()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(write, "write", interrupted)
        assert cli._run(["run", "first.yaml"]) == 130
    assert json.loads((run / "run.json").read_text())["state"] == "interrupted"
    assert cli._run(["show", "last"]) == 2
    assert "has no results yet" in capsys.readouterr().err
    assert cli._run(["run", "first.yaml"]) == 0
    assert json.loads((run / "run.json").read_text())["state"] == "complete"


def test_a_full_disk_under_the_run_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 4 with a sentence, not a bug; with room again the run completes."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert cli._run(["run", "first.yaml"]) == 4
    assert "cannot be written: No space left on device" in capsys.readouterr().err
    assert cli._run(["run", "first.yaml"]) == 0


def test_fresh_asks_everything_again_whatever_is_there(folder: Path) -> None:
    """Each fresh run has a salt of its own, also when the run folders were thrown away."""
    assert cli._run(["run", "first.yaml"]) == 0
    for _ in range(2):
        shutil.rmtree(folder / "runs")
        assert cli._run(["run", "first.yaml", "--fresh"]) == 0
        [run] = (folder / "runs").iterdir()
        [stage] = [
            event
            for event in map(json.loads, (run / "events.jsonl").read_text().splitlines())
            if event["event"] == "stage"
        ]
        assert (stage["total"], stage["stored"]) == (10, 0)


def test_an_unreadable_run_stands_in_nobodys_way(folder: Path) -> None:
    """Other runs go on, and the same spec run again mends it."""
    assert cli._run(["run", "first.yaml"]) == 0
    [run] = (folder / "runs").iterdir()
    (run / "run.json").write_text("{")
    assert cli._run(["ls"]) == 0
    assert cli._run(["plan", "first.yaml", "--limit", "2"]) == 0
    assert cli._run(["run", "first.yaml"]) == 0
    assert json.loads((run / "run.json").read_text())["state"] == "complete"


def test_a_reader_that_goes_away_is_no_failure(folder: Path) -> None:
    """`evalkit schema | head -1` must not look like a missed gate."""
    command = f"{sys.executable} -m evalkit schema; echo $? >&2"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == "0"


def test_a_starter_that_cannot_be_written_is_an_error_of_the_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the folder should be, and a place where nobody can make one."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file/deep", Path("/proc/nowhere")):
        assert cli._run(["init", str(place)]) == 2
        captured = capsys.readouterr()
        assert "cannot be written" in captured.out + captured.err


def test_collecting_needs_an_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an engine there is nothing to collect from: exit 4 with the sentence that mends it."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone.sock")
    assert cli._run(["sandbox", "gc"]) == 4
    assert "no Docker engine answers" in capsys.readouterr().err


def test_the_sandbox_of_a_wrong_spec(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sandbox build SPEC` checks the spec before it asks an engine."""
    (folder / "bad.yaml").write_text("evalkit: 1\nmodel: x\nsandbox: {packages: numpy}\n")
    assert cli._run(["sandbox", "build", "bad.yaml"]) == 2
    assert "`packages` must be a list" in capsys.readouterr().err


def test_options_are_weighed_from_rows_to_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan, run, rows, results, report and show of a task whose options are weighed; recorded likelihoods stand in."""
    options = {"a": ["in the sun", "at sea"], "b": ["red", "blue", "dark green"], "c": ["up", "down"]}
    recorded = {"a": [-1.5, -4.0], "b": [-3.0, -5.0, -3.5], "c": [-2.0]}
    rows = [{"id": name, "q": f"{name}?", "choices": texts, "answer": 0} for name, texts in options.items()]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [{"id": name, "logprobs": values} for name, values in recorded.items()]
    (folder / "weighed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "choice.yaml").write_text(
        "evalkit: 1\n"
        "models: {recorded: {engine: replay, file: weighed.jsonl, fields: {id: id, likelihoods: logprobs}}}\n"
        "model: recorded\n"
        "policy: {temperature: 0.7, samples: 4}\n"
        "suite: [options]\n"
        "void_budget: 0.5\n"
        "tasks:\n"
        "  options:\n"
        "    data: [{file: rows.jsonl}]\n"
        "    id: '{{ id }}'\n"
        "    text: 'Q: {{ q }} A:'\n"
        "    score: {choice: {options: choices, answer: answer, metric: acc_norm}}\n"
    )
    assert cli._run(["plan", "choice.yaml"]) == 0
    assert "7 continuations to weigh, no answer tokens" in capsys.readouterr().out
    assert cli._run(["run", "choice.yaml"]) == 0
    assert "50.0 %" in capsys.readouterr().out
    [run] = (folder / "runs").glob("*")
    found = {row["id"]: row for row in map(json.loads, (run / "samples.jsonl").read_text().splitlines())}
    assert [("a", "pass"), ("b", "fail"), ("c", "void")] == [(name, row["outcome"]) for name, row in found.items()]
    assert found["a"]["likelihoods"] == [
        {"continuation": " in the sun", "logprob": -1.5, "tokens": None, "greedy": None},
        {"continuation": " at sea", "logprob": -4.0, "tokens": None, "greedy": None},
    ]
    assert ("", None, "recorded") == tuple(found["a"][name] for name in ("text", "effective", "finish_reason"))
    assert ("C", {"acc": {"part": 1.0, "of": 1}}) == (found["b"]["answer"], found["b"]["readings"])
    assert found["c"]["reason"] == "engine: 1 recorded log-probabilities for the 2 options of item 'c'"
    metrics = json.loads((run / "results.json").read_text())["steps"]["bench"]["all"]["metrics"]
    assert (3, 2) == (metrics["answers"]["candidates"], metrics["answers"]["weighed"])
    [task] = json.loads((run / "evalkit.lock").read_text())["tasks"]
    assert (1, None) == (task["samples"], task["sampling"])
    assert "none: continuations were weighed" in (run / "report.md").read_text()
    assert cli._run(["show", "last", "b"]) == 0
    assert '   -3.5000  " dark green"' in capsys.readouterr().out
