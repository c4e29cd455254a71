"""What is sent: every parameter that decides, by the names that servers know, and a key only where it is meant."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.openai import ADAPTER
from evalkit.engines.openai_body import call_of, seed_of
from evalkit.engines.openai_settings import Options, settings_of
from evalkit.run.workers import open_engine
from evalkit.spec.servers import OPENAI_URL

ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
CHAT = Prompt((Message("system", "Be brief."), Message("user", "Say something.")))
DRAWN = SamplingParams(0.7, 0.9, 40, 0.05, 1.1, 32, ("END",), 3)
LOCAL = "http://127.0.0.1:8000/v1"


def model(base_url: str | None = LOCAL, chat: bool | None = None, key: str | None = None, **options: Json) -> Model:
    source = {"name": "smol", "base_url": base_url, "key": key}
    return Model("m", "openai", {k: v for k, v in source.items() if v is not None}, chat=chat, options=options)


def ask(sampling: SamplingParams = DRAWN, prompt: Prompt = CHAT, index: int = 0) -> Request:
    return Request("k", "t", "1", prompt, sampling, index)


def body(request: Request, base_url: str | None = LOCAL, chat: bool | None = None, **options: Json) -> dict[str, Json]:
    return call_of(settings_of(model(base_url, chat, **options)), request).body


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say something."}]


def test_everything_is_sent() -> None:
    """All that was declared, in a chat."""
    expected = {
        "model": "smol", "messages": MESSAGES, "max_tokens": 32, "temperature": 0.7, "repetition_penalty": 1.1,
        "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": seed_of(ask()), "stop": ["END"],
    }  # fmt: skip
    assert expected == body(ask())


def test_what_is_off_is_sent_as_off() -> None:
    """A server that is not told draws from its own 40 tokens."""
    sent = body(ask(SamplingParams(temperature=1.0)))
    assert (0, 0.0, 1.0, 1.0) == (sent["top_k"], sent["min_p"], sent["top_p"], sent["repetition_penalty"])


def test_a_greedy_answer_needs_no_seed_and_no_filter() -> None:
    expected = {"model": "smol", "messages": MESSAGES, "max_tokens": 512, "temperature": 0.0, "repetition_penalty": 1.0}
    assert expected == body(ask(SamplingParams(seed=5)))


def test_openai_itself_is_sent_what_it_knows() -> None:
    """It refuses what it does not know, and calls the limit otherwise."""
    request = ask(SamplingParams(temperature=1.0, seed=1))
    expected = {
        "model": "smol", "messages": MESSAGES, "max_completion_tokens": 512, "temperature": 1.0, "top_p": 1.0,
        "seed": seed_of(request),
    }  # fmt: skip
    assert expected == body(request, None)
    with pytest.raises(SpecError, match="top_k: 40 is declared, and OpenAI's own server knows no such parameter"):
        body(ask(SamplingParams(temperature=1.0, top_k=40)), None)


def test_what_is_left_out_must_be_declared_as_it_is_without() -> None:
    """As for models that take no temperature: at 1 they can be asked."""
    without = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"]
    sent = body(ask(SamplingParams(temperature=1.0)), without=without)
    assert {"model", "messages", "max_tokens", "seed"} == set(sent)
    with pytest.raises(SpecError, match=r"temperature: 0\.0 is declared, and options.without keeps it") as caught:
        body(ask(SamplingParams()), without=without)
    assert "declare temperature: 1.0" in caught.value.hint


def test_plain_text() -> None:
    """A bare text is never made a message; a model without a template gets messages as text."""
    text = ask(prompt=Prompt(text="Go on"))
    assert "Go on" == body(text)["prompt"]
    assert "completions" == call_of(settings_of(model(chat=True)), text).path
    assert "Be brief.\n\nSay something." == body(ask(), chat=False)["prompt"]
    assert 32 == body(replace(text, sampling=SamplingParams(max_tokens=32)), None)["max_tokens"]


def test_what_evalkit_does_not_know_can_be_sent() -> None:
    assert "low" == body(ask(), body={"reasoning_effort": "low"})["reasoning_effort"]
    with pytest.raises(SpecError, match=r"options.body may not set 'temperature'"):
        body(ask(), body={"temperature": 0.5})


def test_a_seed_is_that_of_one_answer() -> None:
    """Another for each index, seed and prompt, and what every server takes."""
    others = [
        ask(),
        ask(index=1),
        ask(replace(DRAWN, seed=4)),
        ask(prompt=Prompt(text="Go on")),
    ]
    seeds = [seed_of(request) for request in others]
    assert len(others) == len(set(seeds))
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(ask(replace(DRAWN, temperature=0.1))) == seeds[0]


class TestPrefill:
    """An answer that the task began: servers differ, so nothing is guessed."""

    BEGUN = Prompt((Message("user", "Say something."), Message("assistant", "The ")))

    def test_it_is_refused_where_nobody_says_what_the_server_does(self) -> None:
        with pytest.raises(SpecError, match="servers differ in what they make of that"):
            body(ask(prompt=self.BEGUN))

    @pytest.mark.parametrize(
        ("prefill", "said"), [("whole", "The end"), ("rest", "end"), ("continue_final_message", "end")]
    )
    def test_the_answer_is_what_follows(
        self, server: ScriptedServer, scripted: Vocabulary, prefill: str, said: str
    ) -> None:
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, said))
        with closing(open_engine(model(server.url, probe=False, prefill=prefill), lambda text: None)) as engine:
            (answer,) = engine.generate([ask(SamplingParams(), self.BEGUN)])
        assert isinstance(answer, Completion)
        assert answer.text == "end"
        assert (prefill == "continue_final_message") == server.asked[0].body.get("continue_final_message", False)

    def test_a_server_that_begins_anew_is_told(self, server: ScriptedServer, scripted: Vocabulary) -> None:
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, "Sure!"))
        with closing(open_engine(model(server.url, probe=False, prefill="whole"), lambda text: None)) as engine:
            answers = engine.generate([ask(SamplingParams(), self.BEGUN)])
            with pytest.raises(Exception, match="ignores the beginning of the answer"):
                list(answers)


class TestKey:
    """From the environment, for the server it is meant for, and nowhere else."""

    def authorization(self, server: ScriptedServer, **changes: Any) -> str:
        with closing(open_engine(model(server.url, probe=False, **changes), lambda text: None)) as engine:
            list(engine.generate([ask(SamplingParams())]))
        found: str = server.asked[-1].headers["authorization"]
        return found

    def test_it_is_sent_to_its_server(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOME_KEY", " sk-1234567890 \n")
        assert "Bearer sk-1234567890" == self.authorization(server, key="${env:SOME_KEY}")

    def test_openais_is_for_openai(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another server gets none of what the environment holds for OpenAI's client."""
        for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
            monkeypatch.setenv(name, "sk-of-openai-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        assert "Bearer none" == self.authorization(server)
        assert not any("sk-of-openai" in value for value in server.asked[-1].headers.values())

    def test_openai_is_asked_with_its_own(self) -> None:
        assert "OPENAI_API_KEY" == settings_of(model(None)).variable
        assert None is settings_of(model(LOCAL)).variable
        assert OPENAI_URL == settings_of(model(None)).base_url

    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_a_missing_one_ends_it_before_anything(self, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
        monkeypatch.delenv("SOME_KEY", raising=False)
        if value is not None:
            monkeypatch.setenv("SOME_KEY", value)
        with pytest.raises(PrerequisiteError, match=r"SOME_KEY.* is not set") as caught:
            ADAPTER.open(model(key="${env:SOME_KEY}"), lambda text: None)
        assert "export SOME_KEY=" in caught.value.hint

    @pytest.mark.parametrize("value", ["two words", "sk-1\nsk-2", "schlüssel"])
    def test_one_that_can_be_none_is_told_and_not_shown(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("SOME_KEY", value)
        with pytest.raises(PrerequisiteError, match="holds what no key is") as caught:
            ADAPTER.open(model(key="${env:SOME_KEY}"), lambda text: None)
        assert value not in f"{caught.value} {caught.value.hint}"

    def test_a_short_one_is_no_secret(
        self, server: ScriptedServer, scripted: Vocabulary, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Servers of one's own often want any word."""
        monkeypatch.setenv("SOME_KEY", "EMPTY")
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, "The list is EMPTY."))
        source = model(server.url, key="${env:SOME_KEY}", probe=False)
        with closing(open_engine(source, lambda text: None)) as engine:
            (answer,) = engine.generate([ask(SamplingParams())])
        assert isinstance(answer, Completion)

    @pytest.mark.parametrize("key", ["sk-1234567890abcdef", "${env:A} ${env:B}", "${SOME_KEY}", "${env:}"])
    def test_a_literal_one_is_refused_and_not_shown(self, key: str) -> None:
        with pytest.raises(SpecError) as caught:
            ADAPTER.fingerprint(model(key=key))
        assert key not in f"{caught.value} {caught.value.hint.replace('${env:NAME}', '')}"

    def test_no_proxy_stands_before_the_own_machine(
        self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        assert "Bearer none" == self.authorization(server)


class TestFingerprint:
    """What decides answers, and nothing that does not."""

    def test_its_parts(self) -> None:
        expected = {"asking": "1", "base_url": LOCAL, "name": "smol", "chat": "true", "without": ""}
        assert expected == ADAPTER.fingerprint(model()).parts

    @pytest.mark.parametrize(
        "options", [{"concurrency": 2}, {"timeout_s": 5}, {"max_retries": 1}, {"probe": False}, {"answers_as": "x"}]
    )
    def test_how_it_is_asked_is_no_part(self, options: dict[str, Json]) -> None:
        assert ADAPTER.fingerprint(model()) == ADAPTER.fingerprint(model(**options))
        assert ADAPTER.fingerprint(model()) == ADAPTER.fingerprint(ADAPTER.batched(model(), 3))

    @pytest.mark.parametrize(
        "options",
        [{"revision": "2"}, {"without": ["seed"]}, {"body": {"a": 1}}, {"logprobs": True}, {"prefill": "rest"}],
    )
    def test_what_it_is_asked_is(self, options: dict[str, Json]) -> None:
        assert ADAPTER.fingerprint(model()) != ADAPTER.fingerprint(model(**options))

    def test_one_address_has_one_spelling(self) -> None:
        assert ADAPTER.fingerprint(model("HTTP://Example.org/v1/")) == ADAPTER.fingerprint(
            model("http://example.org/v1")
        )
        assert ADAPTER.fingerprint(model("http://example.org/V1")) != ADAPTER.fingerprint(
            model("http://example.org/v1")
        )

    def test_nothing_is_imported_and_no_key_is_read(self) -> None:
        """In a fresh interpreter: a plan costs nothing."""
        code = (
            "import sys; from evalkit.engines.openai import ADAPTER; from evalkit.core.types import Model\n"
            "ADAPTER.fingerprint(Model('m', 'openai', {'name': 'gpt', 'key': '${env:NOT_THERE}'}))\n"
            "sys.exit(any(name in sys.modules for name in ('openai', 'httpx2', 'httpx', 'jsonschema')))"
        )
        assert run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurency": 3}, "unknown field `concurency`"),
        ({"concurrency": 0}, "Expected `int` >= 1"),
        ({"timeout_s": "long"}, "Expected `float`, got `str`"),
        ({"without": ["max_tokens"]}, "Invalid enum value 'max_tokens'"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Json], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        ADAPTER.fingerprint(model(**options))
    assert "known: concurrency, timeout_s" in caught.value.hint


def test_what_a_server_cannot_do_is_told_before_anything_is_asked() -> None:
    with pytest.raises(SpecError, match="nothing says that it tells how likely given options are"):
        ADAPTER.check_weighing(model())
    with pytest.raises(SpecError, match="a server is given no `format`"):
        ADAPTER.check_format(model(chat=False), ["{}"])
    assert {"format": "response_format json_schema strict"} == ADAPTER.check_format(model(), ["{}"])


def test_every_option_has_its_row_in_the_page() -> None:
    """docs/servers.md."""
    page = (Path(__file__).parents[3] / "docs" / "servers.md").read_text("utf-8")
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(Options.__struct_fields__) == sorted(rows)
