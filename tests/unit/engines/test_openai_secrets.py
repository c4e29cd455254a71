"""Keys stay hidden also where a server, the environment or a spec does what nobody expects."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from evalkit.core.errors import ContractError, SpecError
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines.openai_settings import settings_of
from evalkit.run.workers import open_engine

pytest.importorskip("openai")

ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
KEY = "sk-test-0123456789abcdef-secret"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
SAMPLING = SamplingParams(max_tokens=32)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_TEST_KEY", KEY)


def model(url: str, **options: Json) -> Model:
    source = {"name": "smol", "base_url": url, "key": "${env:EVALKIT_TEST_KEY}"}
    return Model("m", "openai", source, options={"max_retries": 0, "probe": False, **options})


def answers(server: ScriptedServer, count: int = 1, **options: Json) -> tuple[list[Completion | Void], list[str]]:
    notes: list[str] = []
    requests = [
        Request(f"k{item}", "t", str(item), Prompt((Message("user", f"Say {item}."),)), SAMPLING)
        for item in range(count)
    ]
    with closing(open_engine(model(server.url, **options), notes.append)) as engine:
        return list(engine.generate(requests)), notes


def test_a_key_behind_escapes_is_not_kept(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Wherever in the reply it stands: what is decoded is what counts."""
    body = json.dumps(scripted.reply(server_request(), "fine", system_fingerprint="HERE")).replace("HERE", ESCAPED)
    server.script = lambda asked: scripted.Scripted(body.encode())
    [void], notes = answers(server)
    assert isinstance(void, Void)
    assert void.reason == "the server's answer holds the key that it was sent; it is not kept"
    assert notes == []


def server_request() -> Any:
    class Asked:
        body = {"model": "smol", "messages": []}  # noqa: RUF012 - a stand-in
        prompt = "Say 0."

    return Asked()


def test_an_error_behind_escapes_is_told_without_the_key(server: ScriptedServer, scripted: Vocabulary) -> None:
    server.script = lambda asked: scripted.Scripted(f'["{ESCAPED}"]'.encode(), 500)
    [void], _ = answers(server)
    assert isinstance(void, Void)
    assert void.reason == 'the server answered 500: ["***"]'


def test_headers_of_the_environment_are_not_sent(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another key in them could not be hidden."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leak: abc\nAuthorization: Bearer other-key-123456")
    answers(server)
    sent = server.asked[-1].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert "x-leak" not in sent


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": "sk-literal-000111222"},
        {"extra": [{"Authorization": "whatever"}]},
        {"note": "sk-literal-000111222"},
        {"password": "x"},
    ],
)
def test_a_key_in_the_body_is_refused_and_not_shown(body: Json) -> None:
    with pytest.raises(SpecError) as caught:
        settings_of(model("http://127.0.0.1:1/v1", body=body))
    assert "options.body holds a key" in caught.value.message
    assert "literal" not in str(caught.value) + str(caught.value.hint)


def test_what_is_no_key_is_sent() -> None:
    body = {"reasoning_effort": "low", "token": 3, "safety_identifier": "me", "thinking": {"budget_tokens": 5}}
    assert settings_of(model("http://127.0.0.1:1/v1", body=body)).options.body == body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::]", "a.localhost"])
def test_a_machines_own_addresses_know_no_proxy(host: str) -> None:
    assert settings_of(model(f"http://{host}:8000/v1")).is_loopback
    assert not settings_of(model("http://10.0.0.1:8000/v1")).is_loopback


def test_a_refused_parameter_is_no_filter(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Its name may hold a word of filters; no other item would fare better."""
    error = {"message": "Unknown parameter: 'safety_identifier'", "param": "safety_identifier"}
    server.script = lambda asked: scripted.Scripted({"error": error}, 400)
    with pytest.raises(ContractError):
        answers(server, 5, body={"safety_identifier": "x"})


def test_less_than_no_tokens_are_no_answer(server: ScriptedServer, scripted: Vocabulary) -> None:
    """They would lower what a run has spent."""
    server.script = lambda asked: scripted.Scripted(
        scripted.reply(asked, "a", usage={"prompt_tokens": -500, "completion_tokens": 0})
    )
    [void], _ = answers(server)
    assert isinstance(void, Void)
    assert "cannot be read" in void.reason
