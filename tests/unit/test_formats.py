"""Formats from the spec to the requests: which turn has which, what the lock and the keys say, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from evalkit import plan
from evalkit.core.digest import digest_text
from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.keys import completion_key
from evalkit.core.runfolder import Lock
from evalkit.core.types import Completion, Model
from evalkit.engines import transformers
from evalkit.plan import PlannedStep, Sources, model_lock, task_locks
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.steps.bench import cells
from evalkit.steps.turns import following

Make = Callable[..., PlannedStep]
ANY, OWN, LAST = '{"type":"object"}', '{"type":"array","items":{"type":"integer"}}', '{"enum":["b","a"]}'
SPEC = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer, turn: turn}}}
model: recorded
suite: [talk]
"""
TASK = """\
tasks:
  talk:
    data: [{file: talk.jsonl}]
    id: '{{ id }}'
    score: {exact: {answer: '{{ gold }}'}}
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Plans a chat about one row: `turns` in YAML, `policy` in YAML."""
    (tmp_path / "talk.jsonl").write_text('{"id": "1", "q": "why?", "gold": "a", "options": ["a", "b"]}\n')
    (tmp_path / "answers.jsonl").write_text('{"id": "1", "answer": "{}", "turn": 0}\n')

    def planned(turns: str, policy: str = "greedy", previous: Lock | None = None, task: str = TASK) -> PlannedStep:
        (tmp_path / "spec.yaml").write_text(f"{SPEC}policy: {policy}\n{task}    {turns}\n")
        loaded = load_spec(tmp_path / "spec.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        sources = Sources(SqliteStore(tmp_path), lambda text: None, previous=previous)
        [step] = plan.make(loaded.spec, sources).steps
        return step

    return planned


def turn(schema: str) -> str:
    return f"{{ask: 'so?', format: {{json_schema: {schema}}}}}"


def asked(step: PlannedStep) -> list[str | None]:
    """The schema of each turn's request, along the chat."""
    work = step.benches[0]
    [cell] = cells(work, work.arms[0])
    found = [cell.request]
    while True:
        after = following(work, cell, Completion(cell.request.key, "{}", "stop", cell.request.sampling, ""))
        if after is None:
            return [request.sampling.json_schema for request in found]
        cell = after
        found.append(cell.request)


def test_a_turn_s_own_format_wins_over_the_policy_s(make: Make) -> None:
    """And the policy's holds for every turn that has none; keys keep the order in which they were written."""
    policy = f"{{format: {{json_schema: {ANY}}}}}"
    assert asked(make(f"turns: ['{{{{ q }}}}', {turn(OWN)}, 'and?', {turn(LAST)}]", policy)) == [ANY, OWN, ANY, LAST]
    assert asked(make(f"turns: [{turn(OWN)}, 'and?']")) == [OWN, None]
    assert asked(make("prompt: '{{ q }}'", policy)) == [ANY]
    assert asked(make(f"turns: [{turn(OWN)}]", policy)) == [OWN]
    assert asked(make("turns: ['{{ q }}', 'and?']")) == [None, None]


def test_the_order_of_properties_is_kept() -> None:
    """It is the order of the answer."""
    from evalkit.spec.formats import text

    assert text({"json_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}).index('"b"') < 40
    assert json.loads(text({"json_schema": {"const": "é\n"}})) == {"const": "é\n"}


def test_the_lock_says_each_turn_s_format(make: Make) -> None:
    """As digests; `sampling` is how the last turn, which is scored, was asked. A change is the reason of a miss."""
    step = make(f"turns: [{turn(OWN)}, 'and?']", "{temperature: 0.5}")
    loaded = step.benches[0]
    [lock] = task_locks(_spec_of(loaded), loaded)
    assert lock.formats == (digest_text(OWN), None)
    assert lock.sampling is not None
    assert (lock.sampling.temperature, lock.sampling.json_schema) == (0.5, None)
    before = Lock(tasks=(lock,), models={"recorded": model_lock(loaded)})
    after = make(f"turns: [{turn(LAST)}, 'and?']", "{temperature: 0.5}", before)
    assert after.why == "since the last run: talk: the formats changed"
    assert after.key != step.key
    [free] = task_locks(_spec_of(loaded), make("turns: ['{{ q }}', 'and?']").benches[0])
    assert free.formats == ()


def _spec_of(work: Any) -> Any:
    """What `task_locks` reads of a spec: the task of each arm."""
    from types import SimpleNamespace

    return SimpleNamespace(tasks={arm.task: SimpleNamespace(source="", license="") for arm in work.arms})


def test_a_format_changes_the_key_of_its_turn_only(make: Make) -> None:
    """The first turn of both is the same question, asked the same way."""
    plain, formatted = make("turns: ['{{ q }}', 'so?']"), make(f"turns: ['{{{{ q }}}}', {turn(OWN)}]")
    first, same = (next(cells(one.benches[0], one.benches[0].arms[0])) for one in (plain, formatted))
    assert first.request.key == same.request.key
    answer = Completion(first.request.key, "{}", "stop", None, "")
    second, other = following(plain.benches[0], first, answer), following(formatted.benches[0], same, answer)
    assert second is not None
    assert other is not None
    assert second.request.prompt == other.request.prompt
    assert second.request.key != other.request.key


def test_what_is_weighed_has_no_format(make: Make) -> None:
    """Nothing is written that could have one."""
    task = TASK.replace("{exact: {answer: '{{ gold }}'}}", "{choice: {options: options, answer: gold}}")
    with pytest.raises(SpecError, match="task talk wants options weighed"):
        make("prompt: '{{ q }}'", f"{{format: {{json_schema: {ANY}}}}}", task=task)
    with pytest.raises(SpecError, match="has recorded answers only"):  # a matter of the engine, without the format
        make("prompt: '{{ q }}'", task=task)


def test_a_begun_answer_has_no_format(make: Make) -> None:
    """Its first part is the task's, and no schema is asked about it."""
    with pytest.raises(SpecError, match="task talk begins the answer itself"):
        make("{prompt: '{{ q }}', prefill: 'It is'}".strip("{}").replace(", prefill", "\n    prefill"),
             f"{{format: {{json_schema: {ANY}}}}}")  # fmt: skip


MODEL = Model("m", "transformers", {"embedded": "smollm2-135m"})


def test_the_engine_names_what_enforces_a_format() -> None:
    """Its version is in the keys of these answers, and in no other's."""
    pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    from importlib.metadata import version

    assert transformers.ADAPTER.check_format(MODEL, [OWN]) == {"xgrammar": version("xgrammar"), "grammar": "1"}
    assert "xgrammar" not in transformers.ADAPTER.fingerprint(MODEL).parts


def test_a_missing_package_is_said_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line to install it."""
    monkeypatch.setattr(transformers, "_version", lambda package, python: None)
    with pytest.raises(PrerequisiteError, match="the package xgrammar is not installed") as caught:
        transformers.ADAPTER.check_format(MODEL, [OWN])
    assert caught.value.hint == "pip install 'evalkit-spec[structured]'"


def test_a_newer_version_asks_again(make: Make) -> None:
    """But for answers without a format."""
    work = make(f"turns: ['{{{{ q }}}}', {turn(OWN)}]").benches[0]
    newer = replace(work, fingerprint=replace(work.fingerprint, format_parts={"xgrammar": "9"}))
    [cell] = cells(work, work.arms[0])
    assert cell.request.key == next(cells(newer, newer.arms[0])).request.key
    after = following(work, cell, Completion("", "{}", "stop", None, ""))
    assert after is not None
    assert after.request.key != completion_key(newer.fingerprint, after.request)
    assert model_lock(newer).parts["xgrammar"] == "9"
