"""Servers that take no notice of what they are told, scripted: each is found out before the first question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from evalkit.core.errors import ContractError, PrerequisiteError
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.run.workers import open_engine

pytest.importorskip("openai")

ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
GREEDY = SamplingParams(max_tokens=32)
DRAWN = SamplingParams(temperature=0.8, max_tokens=32, seed=3)


def ask(sampling: SamplingParams, prompt: Prompt | None = None) -> Request:
    return Request("k", "t", "1", prompt or Prompt((Message("user", "Say something."),)), sampling)


def answer(server: ScriptedServer, *requests: Request, notes: list[str] | None = None, **options: Json) -> Any:
    model = Model("m", "openai", {"name": "smol", "base_url": server.url}, options={"max_retries": 0, **options})
    with closing(open_engine(model, (notes if notes is not None else []).append)) as engine:
        return next(iter(list(engine.generate(requests))))


Lie = Callable[[Vocabulary, Any, int], dict[str, Json]]
"""What a server answers, given how many it has answered before."""


def told(**changes: Json) -> Lie:
    """A server that answers as if it had been asked otherwise."""

    def lie(vocabulary: Vocabulary, asked: Any, count: int) -> dict[str, Json]:
        other = type(asked)(asked.path, asked.headers, {**asked.body, **changes})
        return vocabulary.reply(asked, vocabulary.words_of(other))  # type: ignore[no-any-return]

    return lie


def restless(name: str) -> Lie:
    """A server that draws without the parameter called `name`, with numbers of its own."""

    def lie(vocabulary: Vocabulary, asked: Any, count: int) -> dict[str, Json]:
        body = {key: value for key, value in asked.body.items() if key != name} | {"seed": count}
        return vocabulary.reply(asked, vocabulary.words_of(type(asked)(asked.path, asked.headers, body)))  # type: ignore[no-any-return]

    return lie


LIARS: dict[str, tuple[Lie, SamplingParams, str]] = {
    "always greedy": (told(temperature=0), DRAWN, "ignores `temperature` or `seed`: 4 answers .* are the same"),
    "one seed": (told(seed=1), DRAWN, "ignores `temperature` or `seed`: 4 answers .* are the same"),
    "no seed": (restless("seed"), DRAWN, "ignores `seed`: the same seed gave"),
    "always warm": (restless("temperature"), GREEDY, "ignores `temperature`: 4 answers .* are all different"),
    "no top_k": (told(top_k=0), replace(DRAWN, top_k=40), "ignores `top_k`: with top_k: 1 only one answer"),
    "no top_p": (told(top_p=1), replace(DRAWN, top_p=0.9), "ignores `top_p`: with top_p: 0.001 only one answer"),
    "no min_p": (told(min_p=0), replace(DRAWN, min_p=0.1), "ignores `min_p`: with min_p: 1.0 only one answer"),
    "no penalty": (
        told(repetition_penalty=1),
        replace(GREEDY, repetition_penalty=1.1),
        "ignores `repetition_penalty`: .* the same",
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", ["chat", "completions"])
@pytest.mark.parametrize("name", LIARS)
def test_a_server_that_does_not_listen_is_found_out(
    server: ScriptedServer, scripted: Vocabulary, name: str, path: str
) -> None:
    """Before anything is asked; without the trial it would have answered."""
    lie, sampling, expected = LIARS[name]
    server.script = lambda asked: scripted.Scripted(lie(scripted, asked, len(server.asked)))
    request = ask(sampling, Prompt(text="Go on") if path == "completions" else None)
    with pytest.raises(ContractError, match=expected) as caught:
        answer(server, request)
    assert "options: {probe: false}" in caught.value.hint
    assert server.real() == []
    assert isinstance(answer(server, request, probe=False), Completion)


@pytest.mark.parametrize(
    "sampling",
    [GREEDY, DRAWN, SamplingParams(0.7, 0.9, 40, 0.05, 1.1, 32, seed=1)],
    ids=["greedy", "drawn", "everything"],
)
def test_a_server_that_listens_is_asked(server: ScriptedServer, sampling: SamplingParams) -> None:
    """With everything that was declared."""
    assert answer(server, ask(sampling)).effective == sampling
    assert len(server.real()) == 1


def test_each_trial_is_made_once(server: ScriptedServer) -> None:
    """For each kind of sampling and each end point, however many requests there are and however often they come."""
    model = Model("m", "openai", {"name": "smol", "base_url": server.url})
    requests = [replace(ask(GREEDY), key=f"{number}") for number in range(5)]
    with closing(open_engine(model, lambda text: None)) as engine:
        list(engine.generate(requests))
        list(engine.generate(requests))
        assert (4, 10) == (len(server.asked) - len(server.real()), len(server.real()))
        list(engine.generate([ask(DRAWN)]))
        list(engine.generate([ask(DRAWN)]))
        assert 4 + 8 == len(server.asked) - len(server.real())
        list(engine.generate([ask(GREEDY, Prompt(text="Go on"))]))
    assert Counter({"/v1/chat/completions": 12, "/v1/completions": 4}) == Counter(
        asked.path for asked in server.asked if asked not in server.real()
    )


def test_a_noisy_server_at_temperature_0_is_no_liar(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Its answers differ now and then in the last digits of a sum: two of four agree."""

    def script(asked: Any) -> Any:
        return scripted.Scripted(scripted.reply(asked, scripted.words_of(asked, noise=str(len(server.asked) % 3))))

    server.script = script
    assert isinstance(answer(server, ask(GREEDY)), Completion)


def test_a_server_without_seeds_can_be_used_when_that_is_declared(server: ScriptedServer, scripted: Vocabulary) -> None:
    """None is sent, and that it draws at all is tried still."""
    lie = restless("seed")
    server.script = lambda asked: scripted.Scripted(lie(scripted, asked, len(server.asked)))
    assert isinstance(answer(server, ask(DRAWN), without=["seed"]), Completion)
    assert not any("seed" in asked.body for asked in server.asked)
    server.script = lambda asked: scripted.Scripted(told(temperature=0)(scripted, asked, 0))
    with pytest.raises(ContractError, match="ignores `temperature` or `seed`"):
        answer(server, ask(DRAWN), without=["seed"])


def test_empty_answers_prove_nothing(server: ScriptedServer, scripted: Vocabulary) -> None:
    """A model that thinks first: told, and the run goes on."""
    notes: list[str] = []

    def script(asked: Any) -> Any:
        if asked in server.real():
            return None
        message = {"content": None, "reasoning_content": "Hmm"}
        return scripted.Scripted(
            scripted.reply(asked, message=message, finish_reason="length", usage={"completion_tokens": 24})
        )

    server.script = script
    assert isinstance(answer(server, ask(DRAWN), notes=notes), Completion)
    assert notes == ["smol: whether the server honours temperature could not be tried: empty answers"]


def test_a_trial_that_fails_is_an_error(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Nothing was asked; nothing is void."""
    server.script = lambda asked: scripted.Scripted({}, 500)
    with pytest.raises(PrerequisiteError, match="could not be tried: the server answered 500"):
        answer(server, ask(GREEDY))
    found = answer(server, ask(GREEDY), probe=False)
    assert isinstance(found, Void)
