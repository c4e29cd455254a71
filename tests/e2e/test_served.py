"""Models on a server, by the command line: no key is ever written or told, and a run that was cut short goes on."""

from __future__ import annotations

import base64
import json
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
KEY = "sk-e2e-0123456789abcdefghij"
ENCODED = base64.b64encode(KEY.encode()).decode().rstrip("=")
ITEMS = 12
_TASK = """\
evalkit: 1
task: words
about: Questions made for this test.
source: this test
license: CC0-1.0
data: [{file: words.jsonl}]
id: '{{ id }}'
prompt: 'Question {{ id }}: a word?'
score: {exact: {answer: ash}}
"""


def spec(url: str, key: str = "${env:E2E_KEY}", **options: Any) -> str:
    options = {"max_retries": 1, "concurrency": 2, **options}
    model = {"engine": "openai", "name": "smol", "base_url": url, "key": key, "options": options}
    return json.dumps(
        {
            "evalkit": 1,
            "name": "served",
            "models": {"it": model},
            "suites": {"s": ["./words.yaml"]},
            "policies": {"warm": {"temperature": 0.7, "samples": 2, "seed": 5, "max_tokens": 64}},
            "steps": {"bench": {"bench": "s", "model": "it", "policy": "warm"}},
            "void_budget": 0.5,
        },
        indent=1,
    )


@pytest.fixture
def asking(project: ProjectFolder) -> ProjectFolder:
    rows = "".join(json.dumps({"id": f"q{number}"}) + "\n" for number in range(ITEMS))
    project.write({"words.yaml": _TASK, "words.jsonl": rows})
    project.env |= {"E2E_KEY": KEY}
    return project


def everything(project: ProjectFolder) -> dict[str, bytes]:
    """Every file of a project, those of the store and its log included; tables as their rows."""
    import pandas

    found = {
        str(path.relative_to(project.path)): path.read_bytes() for path in project.path.rglob("*") if path.is_file()
    }
    for path in project.path.rglob("*.parquet"):
        found[f"{path.name}, read"] = pandas.read_parquet(path).to_json().encode()
    return found


def holding(project: ProjectFolder, text: str) -> list[str]:
    return sorted(name for name, content in everything(project).items() if text.encode() in content)


def secret(project: ProjectFolder, *screens: str) -> None:
    """The key is nowhere, as it is or encoded."""
    for form in (KEY, ENCODED, KEY[3:]):
        assert holding(project, form) == []
        assert not any(form in screen for screen in screens)


def echo(vocabulary: Vocabulary, asked: Any) -> Any:
    """What a careless server does with a key: it tells it, in an error and in an answer."""
    said = asked.headers["authorization"]
    if "q1:" in asked.prompt:
        return vocabulary.Scripted({"error": {"message": f"cannot do that for {said} ({ENCODED})"}}, 500)
    if "q2:" in asked.prompt:
        return vocabulary.Scripted(vocabulary.reply(asked, f"you sent {said}"))
    return None


def test_the_key_is_written_nowhere(asking: ProjectFolder, server: ScriptedServer, scripted: Vocabulary) -> None:
    """Not into run folder, store, events, exports, screens, even where the server tells it back; only its name is."""
    server.script = lambda asked: echo(scripted, asked)
    asking.write({"s.yaml": spec(server.url, max_retries=0)})
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 0, done.err
    assert {f"Bearer {KEY}"} == {asked.headers["authorization"] for asked in server.asked}
    folder = asking.run_folder()
    again = [
        asking.evalkit(*command)
        for command in (
            ("plan", "s.yaml"), ("plan", "s.yaml", "--json"), ("expand", "s.yaml"), ("report", str(folder)),
            ("show", str(folder)), ("show", str(folder), "q1"), ("show", str(folder), "q2"),
            ("export", str(folder), "--to", "jsonl"), ("check", "s.yaml"),
        )
    ]  # fmt: skip
    assert [0] * len(again) == [one.code for one in again]
    secret(asking, done.out, done.err, *(one.out + one.err for one in again))
    assert f"runs/{folder.name}/spec.lock.yaml" in holding(asking, "${env:E2E_KEY}")
    voids = {row["id"]: row["reason"] for row in asking.rows() if row["outcome"] == "void"}
    assert set(voids) == {"q1", "q2"}
    assert "cannot do that for Bearer *** (***" in voids["q1"]
    assert "holds the key" in voids["q2"]
    assert any(name.startswith(".evalkit/store.db") for name in holding(asking, "cannot do that for Bearer"))


def test_a_key_that_is_refused_ends_the_run(
    asking: ProjectFolder, server: ScriptedServer, scripted: Vocabulary
) -> None:
    """Exit 4, and the server's own words without what it repeats."""
    server.script = lambda asked: scripted.Scripted({"error": {"message": f"Incorrect API key: {KEY}"}}, 401)
    asking.write({"s.yaml": spec(server.url)})
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 4
    assert "the server answered 401: Incorrect API key: ***" in done.err
    assert "the key in E2E_KEY: does the server know it" in done.err
    secret(asking, done.out, done.err)


def test_a_variable_that_is_not_set_ends_the_run_before_anything(asking: ProjectFolder, server: ScriptedServer) -> None:
    del asking.env["E2E_KEY"]
    asking.write({"s.yaml": spec(server.url)})
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 4
    assert "the variable E2E_KEY" in done.err
    assert server.asked == []
    assert asking.evalkit("plan", "s.yaml").code == 0


@pytest.mark.parametrize("way", ["in the file", "by --set", "in a broken file"])
def test_a_key_in_the_spec_is_refused_and_not_shown(asking: ProjectFolder, way: str) -> None:
    """Exit 2; the line that holds it is shown without it, also beside another mistake."""
    where = asking.path / "s.yaml"
    text = spec("http://127.0.0.1:9/v1", "${env:E2E_KEY}" if way == "by --set" else KEY)
    where.write_text(text if way != "in a broken file" else text.replace('"key":', '"nmae": 1, "key":'))
    more = ("--set", f"models.it.key={KEY}") if way == "by --set" else ()
    done = asking.evalkit("run", "s.yaml", *more)
    where.unlink()
    assert done.code == 2
    assert ("unknown key 'nmae'" if way == "in a broken file" else "`key` is not the name of a variable") in done.err
    secret(asking, done.out, done.err)


def test_a_run_whose_server_died_goes_on(asking: ProjectFolder, start_server: Callable[..., ScriptedServer]) -> None:
    """Exit 4; what was answered is kept, and the next run asks for the rest, each once, and gives one whole run."""
    first = start_server()
    before_death = 9

    def script(asked: Any) -> None:
        if len(first.real()) > before_death:
            first.close()

    first.script = script
    asking.write({"s.yaml": spec(first.url, concurrency=1)})
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 4
    assert f"the server {first.url} cannot be reached" in done.err
    answered = [seed_and_prompt(asked) for asked in first.real()[:before_death]]
    second = start_server(first.port)
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 0, done.err
    asked_now = [seed_and_prompt(asked) for asked in second.real()]
    assert len(asked_now) == len(set(asked_now)) == 2 * ITEMS - before_death
    assert set(answered).isdisjoint(asked_now)
    rows = asking.rows()
    assert 2 * ITEMS == len(rows)
    assert {"pass", "fail"} >= {row["outcome"] for row in rows}
    assert asking.evalkit("run", "s.yaml").code == 0
    assert len(second.real()) == len(asked_now)


def _hears_interrupts() -> None:
    """As in a terminal: what a script starts in the background is made to ignore them, and so are its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_run_ends_at_once(asking: ProjectFolder, server: ScriptedServer, scripted: Vocabulary) -> None:
    """Exit 130 in the middle of a request that is never answered; what was answered is stored."""
    waiting = threading.Event()

    def script(asked: Any) -> Any:
        if asked in server.real() and len(server.real()) > 4:
            waiting.set()
            return scripted.Scripted({}, held=True)
        return None

    server.script = script
    asking.write({"s.yaml": spec(server.url, concurrency=1)})
    process = subprocess.Popen(
        asking.command("run", "s.yaml"),
        cwd=asking.path,
        env=asking.env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hears_interrupts,
    )
    assert waiting.wait(120)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    with closing(sqlite3.connect(asking.path / ".evalkit" / "store.db")) as store:
        count = store.execute("select count(*) from completions").fetchone()[0]
    assert 1 <= count <= 4  # on a busy machine some had come and were not read yet: they are asked again


def test_a_budget_ends_it_before_more_is_spent(asking: ProjectFolder, server: ScriptedServer) -> None:
    """A token for a dollar: exit 4 with what was paid for, and no request beyond; with more of it the run goes on."""
    written = json.loads(spec(server.url))
    written["models"]["it"]["price"] = {"input_mtok": 1_000_000, "output_mtok": 1_000_000}
    written["budget"] = {"usd": 250}
    asking.write({"s.yaml": json.dumps(written, indent=1)})
    done = asking.evalkit("run", "s.yaml")
    assert done.code == 4
    assert "the budget is spent" in done.err
    paid = len(server.real())
    assert 0 < paid < 2 * ITEMS
    done = asking.evalkit("run", "s.yaml", "--set", "budget.usd=10000", "--out", "more")
    assert done.code == 0, done.err
    assert 2 * ITEMS == len(server.real())
    [rows] = (asking.path / "more").glob("*/samples.jsonl")
    assert {12.0} == {json.loads(line)["usd"] for line in rows.read_text().splitlines()}


def seed_and_prompt(asked: Any) -> tuple[str, int]:
    return asked.prompt, asked.body["seed"]


def test_more_samples_ask_for_those_only(asking: ProjectFolder, server: ScriptedServer, tmp_path: Path) -> None:
    """Each answer has its own seed, so the first two of three are the two of before."""
    asking.write({"s.yaml": spec(server.url)})
    assert asking.evalkit("run", "s.yaml").code == 0
    before = {(row["id"], row["sample"]): row["text"] for row in asking.rows()}
    count = len(server.real())
    assert count == 2 * ITEMS
    done = asking.evalkit("run", "s.yaml", "--set", "policies.warm.samples=3", "--out", "more")
    assert done.code == 0, done.err
    assert len(server.real()) == count + ITEMS
    [rows] = (asking.path / "more").glob("*/samples.jsonl")
    after = [json.loads(line) for line in rows.read_text().splitlines()]
    assert before == {(row["id"], row["sample"]): row["text"] for row in after if row["sample"] < 2}
    assert len({row["text"] for row in after}) > 2 * ITEMS
