"""What a real server, llama.cpp's with the embedded model, is asked and does: formats, begun answers, honesty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import jsonschema
import pytest
from msgspec.structs import replace

from evalkit.core.errors import ContractError, PrerequisiteError
from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams
from evalkit.run.workers import open_engine

pytestmark = pytest.mark.model

GREEDY = SamplingParams(max_tokens=24)
PLACE = {
    "type": "object",
    "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "city": {"type": "string", "maxLength": 20}},
    "required": ["zip", "city"],
    "additionalProperties": False,
}


@contextmanager
def opened(address: str, **options: Json) -> Iterator[Engine]:
    engine = open_engine(
        Model("m", "openai", {"name": "smol", "base_url": address}, options=options), lambda text: None
    )
    with closing(engine):
        yield engine


def ask(text: str, sampling: SamplingParams = GREEDY, index: int = 0) -> Request:
    return Request(f"{text}/{index}", "t", "1", Prompt((Message("user", text),)), sampling, index)


def the_answer(engine: Engine, request: Request) -> Completion:
    (answer,) = engine.generate([request])
    assert isinstance(answer, Completion)
    return answer


def test_a_format_is_obeyed(llama_server: str) -> None:
    """Drawn at temperature 1 by a model that knows little of JSON."""
    sampling = SamplingParams(temperature=1.0, max_tokens=64, seed=1, json_schema=json.dumps(PLACE))
    with opened(llama_server) as engine:
        found = list(engine.generate([ask("Tell me about a place.", sampling, index) for index in range(6)]))
    texts = [one.text for one in found if isinstance(one, Completion) and one.finish_reason == "stop"]
    assert len(texts) >= 4
    for text in texts:
        jsonschema.validate(json.loads(text), PLACE)


def test_a_begun_answer_is_continued(llama_server: str) -> None:
    """This server repeats the beginning; what follows is the answer."""
    prompt = Prompt((Message("user", "What is the capital of France?"), Message("assistant", "The capital city is")))
    with opened(llama_server, prefill="whole") as engine:
        assert the_answer(engine, replace(ask("x"), prompt=prompt)).text.startswith(" Paris")


def test_filters_are_honoured(llama_server: str) -> None:
    """The trial lets top-k, top-p and min-p pass: the server has them."""
    sampling = SamplingParams(temperature=1.0, top_k=5, top_p=0.9, min_p=0.1, max_tokens=8)
    with opened(llama_server) as engine:
        assert the_answer(engine, ask("Name a colour.", sampling)).effective == sampling


def test_a_penalty_that_it_calls_otherwise_is_found_out(llama_server: str) -> None:
    """llama.cpp's own is called `repeat_penalty`; `repetition_penalty` it passes over in silence."""
    with opened(llama_server) as engine, pytest.raises(ContractError, match="ignores `repetition_penalty`"):
        the_answer(engine, ask("Name a colour.", replace(GREEDY, repetition_penalty=1.2)))


def test_its_own_defaults_do_not_come_in(llama_server: str) -> None:
    """It would keep 40 tokens and cut at min-p 0.05; drawn from everything at temperature 2, answers are not those."""
    sampling = SamplingParams(temperature=2.0, max_tokens=16, seed=5)
    with opened(llama_server) as engine:
        free = the_answer(engine, ask("Name a colour.", sampling)).text
        cut = the_answer(engine, ask("Name a colour.", replace(sampling, top_k=40, min_p=0.05, top_p=0.95))).text
    assert free != cut


def test_a_server_that_is_asked_for_another_model_is_told(llama_server: str) -> None:
    """It answers for any name, with the only model that it has."""
    other = Model("m", "openai", {"name": "gpt-4-0613", "base_url": llama_server})
    wrong = pytest.raises(ContractError, match="'gpt-4-0613' was asked, and 'smol' answered")
    with closing(open_engine(other, lambda text: None)) as engine, wrong:
        list(engine.generate([ask("Hello")]))


def test_a_server_that_cannot_weigh_is_found_out(llama_server: str) -> None:
    """It passes over `echo` and tells of its own token only."""
    model = Model("m", "openai", {"name": "smol", "base_url": llama_server}, chat=False, options={"weigh": "echo"})
    request = Request("k", "t", "1", Prompt(text="The capital of France is"), GREEDY, continuations=(" Paris",))
    with closing(open_engine(model, lambda text: None)) as engine, pytest.raises(ContractError, match="ignores `echo`"):
        list(engine.generate([request]))


def test_a_wrong_path_is_told(llama_server: str) -> None:
    wrong = pytest.raises(PrerequisiteError, match="answered 404")
    with opened(llama_server.removesuffix("/v1") + "/nowhere") as engine, wrong:
        list(engine.generate([ask("Hello")]))
