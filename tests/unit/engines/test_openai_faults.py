"""A server that fails in every way that servers fail, scripted, on loopback: void alone, an error, or asked again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.errors import ContractError, PrerequisiteError
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines.openai_line import Shares
from evalkit.run.workers import open_engine

pytest.importorskip("openai")

ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
KEY = "sk-test-0123456789abcdef-secret"
GREEDY = SamplingParams(max_tokens=32)
MANY = 40


def ask(item: int = 0, sampling: SamplingParams = GREEDY, text: str = "Say something") -> Request:
    return Request(f"k{item}", "t", str(item), Prompt((Message("user", f"{text} {item}."),)), sampling)


def model(server: ScriptedServer, **options: Json) -> Model:
    source = {"name": "smol", "base_url": server.url, "key": "${env:EVALKIT_TEST_KEY}"}
    return Model("m", "openai", source, options={"max_retries": 0, "probe": False, **options})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_TEST_KEY", KEY)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Any:
    yield
    ours = ("evalkit-openai", "AnyIO", "asyncio")
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)] == []


def answers(server: ScriptedServer, *requests: Request, **options: Json) -> list[Completion | Void]:
    with closing(open_engine(model(server, **options), lambda text: None)) as engine:
        return list(engine.generate(requests))


def the_void(server: ScriptedServer, request: Request, **options: Json) -> str:
    (void,) = answers(server, request, **options)
    assert isinstance(void, Void)
    assert void.by == "engine"
    return void.reason


Make = Callable[[Vocabulary, Any], Any]

ALONE: dict[str, tuple[Make, str]] = {
    "server error": (lambda s, a: s.Scripted({"error": {"message": "boom"}}, 500), "the server answered 500: boom"),
    "too many": (
        lambda s, a: s.Scripted({"error": {"message": "slow down"}}, 429),
        "the server answered 429: slow down",
    ),
    "context": (
        lambda s, a: s.Scripted({"error": {"message": "x exceeds the available context size"}}, 400),
        "the server answered 400: x exceeds the available context size",
    ),
    "filter before": (
        lambda s, a: s.Scripted({"error": {"message": "flagged", "code": "content_policy_violation"}}, 400),
        "the server answered 400: flagged",
    ),
    "control characters": (
        lambda s, a: s.Scripted({"error": {"message": "red \x1b[31m\r\n\x00line" + "x" * 500}}, 500),
        "the server answered 500: red [31m line" + "x" * 287 + "…",
    ),
    "html": (lambda s, a: s.Scripted(b"<html>Bad gateway</html>", 502), "502: <html>Bad gateway</html>"),
    "html as an answer": (lambda s, a: s.Scripted(b"<html>Log in</html>"), "cannot be read"),
    "truncated json": (lambda s, a: s.Scripted(b'{"choices": [{"mess'), "cannot be read"),
    "other json": (lambda s, a: s.Scripted([1, 2]), "cannot be read"),
    "not utf-8": (lambda s, a: s.Scripted(b'{"model": "\xff"}'), "cannot be read"),
    "cut off": (lambda s, a: s.Scripted(s.reply(a), cut=30), "the connection broke before the answer was whole"),
    "nothing": (lambda s, a: s.Scripted(s.reply(a), cut=0), "the connection broke before the answer was whole"),
    "error as an answer": (lambda s, a: s.Scripted({"error": {"message": "no provider"}}), "no provider"),
    "no choices": (lambda s, a: s.Scripted(s.reply(a, choices=[])), "gave no choice at all"),
    "null choices": (lambda s, a: s.Scripted(s.reply(a, choices=None)), "gave no choice at all"),
    "empty choice": (lambda s, a: s.Scripted(s.reply(a, choices=[{}])), "neither message nor text"),
    "null content": (lambda s, a: s.Scripted(s.reply(a, message={"content": None})), "the answer has no text"),
    "tool call": (
        lambda s, a: s.Scripted(s.reply(a, message={"content": None, "tool_calls": [{"id": "1"}]})),
        "a call of a tool",
    ),
    "filter after": (lambda s, a: s.Scripted(s.reply(a, "so", finish_reason="content_filter")), "a content filter"),
    "unknown end": (lambda s, a: s.Scripted(s.reply(a, finish_reason="abort")), "an unknown reason: abort"),
    "no end": (lambda s, a: s.Scripted(s.reply(a, finish_reason=None)), "an unknown reason: None"),
    "short": (
        lambda s, a: s.Scripted(s.reply(a, "two words", finish_reason="length")),
        "the server ended the answer after 2 of 32 tokens",
    ),
    "its key, escaped": (
        lambda s, a: s.Scripted(json.dumps(s.reply(a, f"Bearer {KEY}")).replace("-", "\\u002d").encode()),
        "holds the key that it was sent",
    ),
    "its key": (lambda s, a: s.Scripted(s.reply(a, f"Bearer {KEY}")), "holds the key that it was sent"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_fault_is_void_alone(server: ScriptedServer, scripted: Vocabulary, name: str) -> None:
    """With its reason, without the key, and the items beside it are answered."""
    make, expected = ALONE[name]
    server.script = lambda asked: make(scripted, asked) if "something 1." in asked.prompt else None
    found = {answer.key: answer for answer in answers(server, ask(0), ask(1), ask(2))}
    void = found["k1"]
    assert isinstance(void, Void)
    assert expected in void.reason
    assert KEY not in void.reason
    assert isinstance(found["k0"], Completion)
    assert isinstance(found["k2"], Completion)


@pytest.mark.parametrize("how", ["held", "dripping"])
def test_a_slow_answer_is_void(server: ScriptedServer, scripted: Vocabulary, how: str) -> None:
    """Also one whose headers came, and whose body comes a little now and then."""
    server.script = lambda asked: scripted.Scripted({"long": "x" * 10_000}, **{how: True})
    assert "the server took more than 0.2 s" in the_void(server, ask(), timeout_s=0.2)


def test_a_wait_that_was_asked_for_is_kept(server: ScriptedServer, scripted: Vocabulary) -> None:
    """429 with Retry-After, then an answer: nothing is void, and nobody asked before the time."""
    refused: list[str] = []

    def script(asked: Any) -> Any:
        if asked.prompt not in refused:
            refused.append(asked.prompt)
            return scripted.Scripted({"error": {"message": "later"}}, 429, {"Retry-After-Ms": "30"})
        return None

    server.script = script
    found = answers(server, *(ask(item) for item in range(4)), max_retries=1)
    assert [True] * 4 == [isinstance(answer, Completion) for answer in found]
    assert len(server.asked) == 8


def test_the_retries_of_the_client_are_used(server: ScriptedServer, scripted: Vocabulary) -> None:
    """500 twice, then an answer."""
    server.script = lambda asked: scripted.Scripted({}, 500, {"Retry-After-Ms": "1"}) if len(server.asked) < 3 else None
    (answer,) = answers(server, ask(), max_retries=2)
    assert isinstance(answer, Completion)
    assert len(server.asked) == 3


STOPPING: dict[str, tuple[Make, type[Exception], str, str]] = {
    "key": (
        lambda s, a: s.Scripted({"error": {"message": f"Incorrect key: {KEY}"}}, 401),
        PrerequisiteError, "401: Incorrect key: ***", "the key in EVALKIT_TEST_KEY",
    ),
    "encoded key": (
        lambda s, a: s.Scripted({"error": {"message": "Bad c2stdGVzdC0wMTIzNDU2Nzg5YWJjZGVmLXNlY3JldA=="}}, 403),
        PrerequisiteError, "403: Bad ***", "the key in EVALKIT_TEST_KEY",
    ),
    "model": (
        lambda s, a: s.Scripted({"error": {"message": "The model smol does not exist"}}, 404),
        PrerequisiteError, "404: The model smol does not exist", "know a model 'smol'",
    ),
    "model, otherwise": (
        lambda s, a: s.Scripted({"error": {"message": "model 'smol' not found"}}, 400),
        PrerequisiteError, "400: model 'smol' not found", "know a model 'smol'",
    ),
    "credit": (
        lambda s, a: s.Scripted({"error": {"message": "You exceeded", "code": "insufficient_quota"}}, 429),
        PrerequisiteError, "429: You exceeded", "no credit left",
    ),
    "elsewhere": (
        lambda s, a: s.Scripted(b"", 307, {"Location": "http://127.0.0.1:1/"}),
        PrerequisiteError, "answered 307", "write that one as base_url",
    ),
    "parameter": (
        lambda s, a: s.Scripted({"error": {"message": "Only 1 is allowed", "param": "temperature"}}, 400),
        ContractError, "400: Only 1 is allowed", "options: {without: [...]}",
    ),
    "unknown parameter": (
        lambda s, a: s.Scripted({"error": {"message": "Unrecognized request argument supplied: top_k"}}, 400),
        ContractError, "Unrecognized request argument", "options: {without: [...]}",
    ),
    "several choices": (
        lambda s, a: s.Scripted(s.reply(a, choices=s.reply(a)["choices"] * 2)),
        ContractError, "ignores `n`: one answer was asked for, 2 came back", "",
    ),
    "wrong model": (
        lambda s, a: s.Scripted(s.reply(a, model="smol-turbo")),
        ContractError, "'smol' was asked, and 'smol-turbo' answered", "answers_as",
    ),
    "no limit": (
        lambda s, a: s.Scripted(s.reply(a, "word " * 200)),
        ContractError, "ignores `max_tokens`: 32 tokens were allowed, 200 came back", "max_tokens_as",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPPING)
def test_what_all_items_would_share_stops_the_run(server: ScriptedServer, scripted: Vocabulary, name: str) -> None:
    """After what was answered before, and long before forty items were asked. The key is never told."""
    make, kind, expected, hint = STOPPING[name]
    server.script = lambda asked: make(scripted, asked) if "something 1." in asked.prompt else None
    with closing(open_engine(model(server, concurrency=1), lambda text: None)) as engine:
        found = engine.generate([ask(item) for item in range(MANY)])
        assert isinstance(next(found), Completion)
        with pytest.raises(kind) as caught:
            list(found)
    error: Any = caught.value
    assert error.exit_code == 4
    assert expected in error.message
    assert hint in error.hint
    assert KEY not in f"{error} {error.hint} {error.__cause__} {error.__context__}"
    assert len(server.asked) < MANY


def test_a_server_that_is_not_there_stops_the_run() -> None:
    """Nothing is void: the next run asks all."""
    gone = Model("m", "openai", {"name": "smol", "base_url": "http://127.0.0.1:9/v1"}, options={"max_retries": 0})
    with closing(open_engine(gone, lambda text: None)) as engine, pytest.raises(PrerequisiteError) as caught:
        list(engine.generate([ask()]))
    assert "http://127.0.0.1:9/v1 cannot be reached" in caught.value.message


def test_ten_failures_in_a_row_stop_the_run(server: ScriptedServer, scripted: Vocabulary) -> None:
    """The ten are void; what is wrong with items is not counted."""
    server.script = lambda asked: scripted.Scripted(
        {"error": {"message": "down"}} if "something 2" in asked.prompt else {"error": {"message": "context length"}},
        500 if "something 2" in asked.prompt else 400,
    )
    found: list[Completion | Void] = []
    with closing(open_engine(model(server, concurrency=1), lambda text: None)) as engine:
        answers = engine.generate([ask(item) for item in range(MANY)])
        with pytest.raises(PrerequisiteError, match=r"failed 10 times in a row, the last time so: .* 500: down"):
            found.extend(answers)
    assert [f"k{item}" for item in range(29)] == [void.key for void in found]


def test_an_answer_between_failures_lets_the_run_go_on(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Every second fails, thirty times."""
    server.script = lambda asked: scripted.Scripted({}, 500) if len(server.asked) % 2 else None
    found = answers(server, *(ask(item) for item in range(60)), concurrency=1)
    assert 30 == sum(isinstance(answer, Void) for answer in found)


def test_a_model_that_changes_is_told(server: ScriptedServer, scripted: Vocabulary) -> None:
    """An alias may stand for a dated model, but for one only."""
    names = iter(["smol-2026-01-01", "smol-2026-01-01", "smol-2026-02-02"])
    server.script = lambda asked: scripted.Scripted(scripted.reply(asked, model=next(names)))
    with pytest.raises(ContractError, match="first 'smol-2026-01-01', now 'smol-2026-02-02'"):
        answers(server, ask(0), ask(1), ask(2), concurrency=1)


def test_a_model_may_answer_by_another_name_that_is_declared(server: ScriptedServer, scripted: Vocabulary) -> None:
    """As llama.cpp's server does, which calls models by their files."""
    server.script = lambda asked: scripted.Scripted(scripted.reply(asked, model="/models/smol.gguf"))
    (answer,) = answers(server, ask(), answers_as="/models/smol.gguf")
    assert isinstance(answer, Completion)


def test_a_stop_text_that_is_passed_over_is_told(server: ScriptedServer, scripted: Vocabulary) -> None:
    server.script = lambda asked: scripted.Scripted(scripted.reply(asked, "one END two"))
    request = ask(sampling=SamplingParams(max_tokens=32, stop=("END",)))
    with pytest.raises(ContractError, match="ignores `stop`: the answer goes on after 'END'"):
        answers(server, request)


class TestFormat:
    """Whatever the server makes of it, no answer that breaks its schema is kept."""

    SCHEMA = '{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}'

    @pytest.fixture
    def request_(self) -> Request:
        return ask(sampling=SamplingParams(max_tokens=8, json_schema=self.SCHEMA))

    def test_it_is_sent_and_reported(self, server: ScriptedServer, scripted: Vocabulary, request_: Request) -> None:
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, '{"a": 1}'))
        (answer,) = answers(server, request_)
        assert isinstance(answer, Completion)
        assert answer.effective == request_.sampling
        sent = server.asked[0].body["response_format"]
        assert (sent["type"], sent["json_schema"]["strict"]) == ("json_schema", True)
        assert list(sent["json_schema"]["schema"]) == ["type", "properties", "required"]

    @pytest.mark.parametrize(("text", "why"), [("Sure: {}", "it is no JSON"), ('{"a": "1"}', "is not of type")])
    def test_an_answer_that_breaks_it_is_an_error(
        self, server: ScriptedServer, scripted: Vocabulary, request_: Request, text: str, why: str
    ) -> None:
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, text))
        with pytest.raises(ContractError, match=f"ignores the `format`, or a part of it: .*{why}"):
            answers(server, request_)

    def test_one_that_was_cut_off_is_an_answer(
        self, server: ScriptedServer, scripted: Vocabulary, request_: Request
    ) -> None:
        server.script = lambda asked: scripted.Scripted(
            scripted.reply(asked, '{"a', finish_reason="length", usage={"completion_tokens": 8})
        )
        (answer,) = answers(server, request_)
        assert isinstance(answer, Completion)
        assert (answer.text, answer.finish_reason) == ('{"a', "length")

    def test_a_refusal_is_an_answer(self, server: ScriptedServer, scripted: Vocabulary, request_: Request) -> None:
        """The model's own, so it counts; with a format too."""
        message = {"content": None, "refusal": "I will not."}
        server.script = lambda asked: scripted.Scripted(scripted.reply(asked, message=message))
        (answer,) = answers(server, request_)
        assert isinstance(answer, Completion)
        assert answer.text == "I will not."


def test_thinking_to_the_limit_is_an_empty_answer(server: ScriptedServer, scripted: Vocabulary) -> None:
    """The model used what it had and said nothing: its own doing."""
    message = {"content": None, "reasoning_content": "Hmm."}
    server.script = lambda asked: scripted.Scripted(
        scripted.reply(asked, message=message, finish_reason="length", usage={"completion_tokens": 32})
    )
    (answer,) = answers(server, ask())
    assert isinstance(answer, Completion)
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == ("", "length", 32)


def test_tokens_are_unknown_where_the_server_does_not_say(server: ScriptedServer, scripted: Vocabulary) -> None:
    server.script = lambda asked: scripted.Scripted(scripted.reply(asked, usage=None))
    (answer,) = answers(server, ask())
    assert isinstance(answer, Completion)
    assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)
    assert (answer.seconds or 0) > 0


def test_seconds_are_shares_of_the_time(server: ScriptedServer) -> None:
    """However many are under way: together they are no longer than it took."""
    started = time.monotonic()
    found = answers(server, *(ask(item) for item in range(24)), concurrency=12)
    took = time.monotonic() - started
    shares = [answer.seconds for answer in found if isinstance(answer, Completion) and answer.seconds is not None]
    assert len(shares) == 24
    assert min(shares) > 0
    assert sum(shares) <= took


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=8))
def test_shares_make_up_the_time_in_which_any_request_was_under_way(requests: list[tuple[float, float]]) -> None:
    """Their sum is the length of the union of the intervals."""
    spans = [(begin, begin + length) for begin, length in requests]
    clock = [0.0]
    shares = Shares(lambda: clock[0])
    begun: dict[int, float] = {}
    total = 0.0
    begins = [(begin, 0, number) for number, (begin, _) in enumerate(spans)]
    ends = [(end, 1, number) for number, (_, end) in enumerate(spans)]
    for at, leaves, number in sorted(begins + ends):
        clock[0] = at
        if leaves:
            total += shares.leave(begun[number])
        else:
            begun[number] = shares.enter()
    union, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        union += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    assert union == pytest.approx(total, abs=1e-9)


def test_log_probabilities(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Their mean, of either end point; a server that has none is told."""
    chat = {"content": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}]}
    plain = {"token_logprobs": [None, -3.0, -4.0], "tokens": ["a", "b", "c"]}
    server.script = lambda asked: scripted.Scripted(
        scripted.reply(asked, "ab", logprobs=chat if "messages" in asked.body else plain)
    )
    text = Request("text", "t", "1", Prompt(text="Go on"), GREEDY)
    found = {answer.key: answer for answer in answers(server, ask(), text, logprobs=True)}
    assert (-1.5, -3.5) == (found["k0"].mean_logprob, found["text"].mean_logprob)  # type: ignore[union-attr]
    server.script = lambda asked: None
    with pytest.raises(ContractError, match="ignores `logprobs`"):
        answers(server, ask(), logprobs=True)


def test_closing_gives_up_what_is_under_way(server: ScriptedServer, scripted: Vocabulary) -> None:
    """An answer that never comes, and a wait of a minute that the server asked for: both end at once."""

    def script(asked: Any) -> Any:
        if "something 0." in asked.prompt:
            return None
        if "something 1." in asked.prompt:
            return scripted.Scripted({}, held=True)
        return scripted.Scripted({}, 429, {"Retry-After": "60"})

    server.script = script
    with closing(open_engine(model(server, max_retries=5), lambda text: None)) as engine:
        found = engine.generate([ask(0), ask(1), ask(2)])
        assert isinstance(next(found), Completion)
        found.close()  # type: ignore[attr-defined]


def test_a_closed_engine_asks_nothing_more(server: ScriptedServer) -> None:
    """Also while somebody holds on to its answers, as the traceback of an error does."""
    engine = open_engine(model(server, concurrency=1), lambda text: None)
    found = engine.generate([ask(item) for item in range(500)])
    next(found)
    engine.close()
    asked = len(server.asked)
    assert asked < 500
    assert [thread for thread in threading.enumerate() if thread.name == "evalkit-openai"] == []
    assert found is not None


def test_what_the_server_calls_its_set_up_is_told_once(server: ScriptedServer, scripted: Vocabulary) -> None:
    notes: list[str] = []
    server.script = lambda asked: scripted.Scripted(scripted.reply(asked, system_fingerprint="fp_1"))
    with closing(open_engine(model(server), notes.append)) as engine:
        list(engine.generate([ask(0), ask(1)]))
    assert notes == ["smol: the server calls its set-up 'fp_1'"]
