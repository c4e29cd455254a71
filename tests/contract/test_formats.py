"""Answers under a `format`, by the embedded model: what stops obeys its schema, and nobody else notices."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from evalkit.core.errors import SpecError
from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Message, Prompt, Request, SamplingParams

SCHEMAS: dict[str, dict[str, Any]] = {
    "object": {
        "type": "object",
        "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "city": {"type": "string", "maxLength": 20}},
        "required": ["zip", "city"],
    },
    "enum": {"enum": ["red", "green", "a \"quoted\" blue", 7, None]},
    "array": {"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 9}, "minItems": 2, "maxItems": 5},
    "nested": {
        "type": "object",
        "properties": {
            "people": {
                "type": "array",
                "minItems": 1,
                "maxItems": 2,
                "items": {
                    "type": "object",
                    "properties": {"name": {"$ref": "#/$defs/short"}, "alive": {"type": "boolean"}},
                    "required": ["name", "alive"],
                },
            }
        },
        "required": ["people"],
        "$defs": {"short": {"type": "string", "minLength": 1, "maxLength": 12}},
    },
    "number": {
        "type": "object",
        "properties": {"x": {"type": "number", "minimum": 0.5, "maximum": 2.5}, "n": {"type": ["integer", "null"]}},
        "required": ["x", "n"],
    },
    "either": {"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 2, "maxLength": 8}]},
}  # fmt: skip
TEXTS = {name: json.dumps(schema, separators=(",", ":")) for name, schema in SCHEMAS.items()}
SAMPLES = 4
DRAWN = SamplingParams(temperature=1.0, max_tokens=64, seed=11)
GREEDY = SamplingParams(max_tokens=40)


@pytest.fixture
def engine(writing: Engine) -> Engine:
    """Each engine that generates."""
    return writing


def ask(schema: str | None, sampling: SamplingParams = DRAWN, index: int = 0) -> Request:
    prompt = Prompt((Message("user", "Tell me about a place and its people. Use quotes and line breaks."),))
    format_ = None if schema is None else TEXTS[schema]
    key = f"{schema}/{sampling.temperature}/{index}"
    return Request(key, "t", "1", prompt, replace(sampling, json_schema=format_), index)


def completions(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    found = {answer.key: answer for answer in engine.generate(requests)}
    assert {request.key for request in requests} == set(found)
    assert all(isinstance(answer, Completion) for answer in found.values())
    return {key: answer for key, answer in found.items() if isinstance(answer, Completion)}


def test_whatever_stopped_obeys_its_schema(engine: Engine) -> None:
    """Drawn at temperature 1 by a model that knows little of JSON: six schemas in one call, four answers to each."""
    requests = [ask(name, index=index) for name in SCHEMAS for index in range(SAMPLES)]
    answers = completions(engine, requests)
    stopped = {request.key: request for request in requests if answers[request.key].finish_reason == "stop"}
    assert len(stopped) >= 20
    for key, request in stopped.items():
        schema = SCHEMAS[key.split("/")[0]]
        jsonschema.validate(json.loads(answers[key].text), schema)
        assert request.sampling == answers[key].effective
    assert len({answers[ask("object", index=index).key].text for index in range(SAMPLES)}) > 1


def test_what_is_cut_is_said_to_be_cut(engine: Engine) -> None:
    """`max_tokens` ends an answer in the middle of its JSON; nothing pretends that it is whole."""
    request = ask("nested", replace(DRAWN, max_tokens=6))
    answer = completions(engine, [request])[request.key]
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 6)
    with pytest.raises(ValueError, match=r"(?i)expecting|unterminated"):
        json.loads(answer.text)


def test_free_answers_do_not_notice(engine: Engine) -> None:
    """The same seeds with and without answers under a format in the same call."""
    free = [ask(None, sampling, index) for sampling, index in ((DRAWN, 0), (DRAWN, 1), (GREEDY, 0))]
    alone = completions(engine, free)
    among = completions(engine, [ask("array"), *free, ask("object", GREEDY)])
    assert [alone[request.key].text for request in free] == [among[request.key].text for request in free]
    assert [among[request.key].effective for request in free] == [request.sampling for request in free]


def test_company_does_not_change_an_answer(engine: Engine) -> None:
    """Greedy, alone and among others of the same and of other schemas."""
    requests = [ask(name, GREEDY) for name in SCHEMAS]
    others = [ask("object", replace(GREEDY, seed=1), 1), ask("nested", GREEDY, 2)]
    together = completions(engine, [*requests, *others])
    for request in requests:
        alone = completions(engine, [request])[request.key]
        assert (alone.text, alone.finish_reason) == (together[request.key].text, together[request.key].finish_reason)


def test_members_come_in_the_order_of_the_schema(engine: Engine) -> None:
    """And one form of white space: no room for a model to write blanks."""
    request = ask("object", GREEDY)
    answer = completions(engine, [request])[request.key]
    assert list(json.loads(answer.text)) == ["zip", "city"]
    forms = [(", ", ": "), (",", ":")]  # of engines: each has one
    found = json.loads(answer.text)
    assert answer.text in [json.dumps(found, ensure_ascii=False, separators=form) for form in forms]


def test_penalty_and_filters_see_only_what_is_allowed(engine: Engine) -> None:
    """A repetition penalty, top-k and top-p work on the masked scores, and are reported with the format."""
    sampling = SamplingParams(0.8, top_p=0.5, top_k=3, min_p=0.01, repetition_penalty=1.3, max_tokens=60, seed=3)
    requests = [ask("nested", sampling, index) for index in range(3)]
    answers = completions(engine, requests)
    assert {answer.finish_reason for answer in answers.values()} == {"stop"}
    for request in requests:
        jsonschema.validate(json.loads(answers[request.key].text), SCHEMAS["nested"])
        assert answers[request.key].effective == request.sampling


def test_a_schema_without_a_grammar_is_an_error_that_says_so(engine: Engine) -> None:
    """The worker tells it and lives: the next answer comes."""
    backreference = '{"type":"string","pattern":"(a)\\\\1"}'
    request = replace(ask(None), key="none", sampling=replace(DRAWN, json_schema=backreference))
    with pytest.raises(SpecError, match=r"xgrammar makes no grammar of the `format` .*[Bb]ackreference") as caught:
        list(engine.generate([request]))
    assert caught.value.hint
    assert completions(engine, [ask("enum")])
