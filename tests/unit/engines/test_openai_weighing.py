"""Likelihoods by `echo`: of a server that is scripted, its numbers those of a real model or made up."""

from __future__ import annotations

import re
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest

from evalkit.core.errors import ContractError, SpecError
from evalkit.core.types import Completion, Json, Likelihood, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines.openai import ADAPTER
from evalkit.run.workers import open_engine

pytest.importorskip("openai")

ScriptedServer = Any  # fixtures of tests/conftest.py
Vocabulary = Any
OPTIONS = (" Paris", " a banana", " London, of course", ".")


def weigh(text: str = "The capital of France is", options: tuple[str, ...] = OPTIONS, key: str = "k") -> Request:
    return Request(key, "t", "1", Prompt(text=text), SamplingParams(), continuations=options)


def model(server: ScriptedServer, **options: Json) -> Model:
    source = {"name": "smol", "base_url": server.url}
    return Model("m", "openai", source, chat=False, options={"weigh": "echo", "max_retries": 0, **options})


def answers(server: ScriptedServer, *requests: Request) -> dict[str, Completion | Void]:
    with closing(open_engine(model(server), lambda text: None)) as engine:
        return {answer.key: answer for answer in engine.generate(requests)}


def echo(vocabulary: Vocabulary, asked: Any, **changes: Json) -> Any:
    """A server whose tokens are words with the space before them: the n-th has log-probability -n."""
    tokens = re.findall(r" ?\w+|[^\w]", asked.prompt)
    logprobs: dict[str, Json] = {
        "tokens": ["<s>", *tokens, " end"],
        "token_logprobs": [None, *(-float(number) for number in range(1, len(tokens) + 2))],
        "top_logprobs": [None, *({"x": -2.5} for _ in range(len(tokens) + 1))],
    }
    usage = {"prompt_tokens": len(tokens) + 1, "completion_tokens": 1}
    told = vocabulary.reply(
        asked, f"{asked.prompt} end", logprobs=logprobs | changes, finish_reason="length", usage=usage
    )
    return vocabulary.Scripted(told)


def test_the_tokens_of_a_continuation_are_its_own(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Five tokens before it; a start token that no text shows and the token that was written count for nothing."""
    server.script = lambda asked: echo(scripted, asked)
    answer = answers(server, weigh())["k"]
    assert isinstance(answer, Completion)
    expected = [(-6.0, 1), (-13.0, 2), (-30.0, 4), (-6.0, 1)]
    assert tuple(Likelihood(logprob, tokens, False) for logprob, tokens in expected) == answer.likelihoods
    assert ("weighed", None, "", 6) == (answer.finish_reason, answer.effective, answer.text, answer.prompt_tokens)
    assert all(asked.body["echo"] and asked.body["max_tokens"] == 1 for asked in server.asked)


def test_white_space_that_ends_the_prompt_is_the_continuations(server: ScriptedServer, scripted: Vocabulary) -> None:
    server.script = lambda asked: echo(scripted, asked)
    found = answers(server, weigh("The best is ", ("yes",)), weigh("The best is", (" yes",), "other"))
    assert found["k"].likelihoods == found["other"].likelihoods  # type: ignore[union-attr]


def test_the_most_likely_is_greedy(server: ScriptedServer, scripted: Vocabulary) -> None:
    """Of the second token -2 is above all others, of the third it is not."""
    server.script = lambda asked: echo(scripted, asked)
    answer = answers(server, weigh("The", (" best", " best is")))["k"]
    assert [True, False] == [known.greedy for known in answer.likelihoods]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "option", "reason"),
    [
        ("The capit", "al", "a token stands across its beginning"),
        ("The best", "", "the continuation has no tokens of its own"),
        ("", "The", "a token stands across"),
    ],
)
def test_what_cannot_be_weighed_is_void_alone(
    server: ScriptedServer, scripted: Vocabulary, text: str, option: str, reason: str
) -> None:
    server.script = lambda asked: echo(scripted, asked)
    if not text:
        server.script = lambda asked: echo(scripted, asked, token_logprobs=[None, None, -1.0])
        reason = "no log-probability for a token"
    found = answers(server, weigh(text, (option, " yes")), weigh("Others", (" yes",), "other"))
    void = found["k"]
    assert isinstance(void, Void)
    assert reason in void.reason
    assert text == "" or isinstance(found["other"], Completion)


def test_tokens_that_are_not_the_text_prove_nothing(server: ScriptedServer, scripted: Vocabulary) -> None:
    """As the halves of a letter of several bytes are told."""
    server.script = lambda asked: echo(scripted, asked, tokens=["<s>", "The", " b\ufffd", " end"])
    void = answers(server, weigh("The", (" bé",)))["k"]
    assert isinstance(void, Void)
    assert "not those of the text" in void.reason


def test_a_server_without_echo_is_found_out(server: ScriptedServer, scripted: Vocabulary) -> None:
    with pytest.raises(ContractError, match="ignores `echo`"):
        answers(server, weigh())


def test_it_is_refused_before_anything_where_the_spec_does_not_say_it(server: ScriptedServer) -> None:
    """In a chat nobody knows the text around a message."""
    ADAPTER.check_weighing(model(server))
    for other in (
        Model("m", "openai", {"name": "smol"}, options={"weigh": "echo"}),
        Model("m", "openai", {"name": "smol"}, chat=False),
    ):
        with pytest.raises(SpecError, match="nothing says that it tells how likely"):
            ADAPTER.check_weighing(other)


@pytest.mark.model
def test_real_numbers_arrive_as_they_are(server: ScriptedServer, scripted: Vocabulary) -> None:
    """The embedded model behind `echo`, its tokens told as vLLM's server does, against the engine that loads it."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        pytest.skip("torch and transformers are not installed")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evalkit.engines import embedded

    prompts = ["The capital of France is", "The best fruit is ", "I live in"]
    requests = [weigh(text, key=text) for text in prompts]
    with closing(open_engine(Model("s", "transformers", {"embedded": "smollm2-135m"}), lambda text: None)) as engine:
        expected = {answer.key: answer for answer in engine.generate(requests)}
    place = embedded.converted(embedded.lookup("smollm2-135m"))
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(place).float().eval(), AutoTokenizer.from_pretrained(place)

    def script(asked: Any) -> Any:
        ids = tokenizer(asked.prompt)["input_ids"]
        with torch.inference_mode():
            logprobs = loaded(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
        told = [None, *(float(logprobs[spot, token]) for spot, token in enumerate(ids[1:])), -0.5]
        best = [None, *({"best": float(row.max())} for row in logprobs[:-1]), {"best": -0.5}]
        said = {"tokens": [*map(tokenizer.decode, ids), "!"], "token_logprobs": told, "top_logprobs": best}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 1}
        return scripted.Scripted(
            scripted.reply(asked, f"{asked.prompt}!", logprobs=said, finish_reason="length", usage=usage)
        )

    server.script = script
    found = answers(server, *requests)
    for text in prompts:
        mine, theirs = found[text], expected[text]
        assert isinstance(mine, Completion)
        assert isinstance(theirs, Completion)
        assert [known.logprob for known in mine.likelihoods] == pytest.approx(
            [known.logprob for known in theirs.likelihoods], abs=1e-3
        )
        assert [(known.tokens, known.greedy) for known in mine.likelihoods] == [
            (known.tokens, known.greedy) for known in theirs.likelihoods
        ]
        assert mine.prompt_tokens == theirs.prompt_tokens
