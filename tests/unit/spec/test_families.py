"""Which models are one, and which are of one family, by their names."""

from __future__ import annotations

import pytest

from evalkit.core.types import Json
from evalkit.spec.families import families, identity, shared_family


@pytest.mark.parametrize(
    ("one", "other", "family"),
    [
        ({"name": "gpt-4-0613"}, {"name": "gpt-4o"}, "gpt"),
        ({"name": "gpt-4o-mini"}, {"name": "o3"}, "gpt"),
        ({"hub": "Qwen/Qwen2.5-7B-Instruct"}, {"hub": "Qwen/Qwen2.5-Coder-32B-Instruct"}, "qwen"),
        ({"hub": "Qwen/QwQ-32B"}, {"path": "/models/qwen2-tuned"}, "qwen"),
        ({"hub": "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"}, {"hub": "Qwen/Qwen3-8B"}, "qwen"),
        ({"hub": "deepseek-ai/DeepSeek-V3"}, {"hub": "Qwen/Qwen3-8B"}, None),
        ({"hub": "meta-llama/Llama-3.1-8B-Instruct"}, {"hub": "TinyLlama/TinyLlama-1.1B"}, "llama"),
        ({"hub": "meta-llama/Llama-3.1-8B-Instruct"}, {"name": "gpt-4o"}, None),
        ({"hub": "mistralai/Mixtral-8x7B-v0.1"}, {"hub": "mistralai/Mistral-7B"}, "mistral"),
        ({"embedded": "smollm2-135m"}, {"hub": "HuggingFaceTB/SmolLM2-1.7B-Instruct"}, "smollm"),
        ({"hub": "acme/acme-7b-instruct"}, {"hub": "acme/acme-13b-chat"}, "acme"),
        ({"hub": "org/model-a"}, {"hub": "org/model-b"}, None),
        ({"name": "judge-one"}, {"name": "judge-two"}, None),
        ({"file": "/a.jsonl"}, {"file": "/b.jsonl"}, None),
        ({"path": "./checkpoints/final"}, {"path": "./other/final"}, None),
        ({"hub": "org/x", "adapter": "./a"}, {"hub": "org/x"}, "x"),
        ({"hub": "org/x", "revision": "1"}, {"hub": "org/x", "revision": "2"}, "x"),
    ],
)
def test_shared_family(one: dict[str, Json], other: dict[str, Json], family: str | None) -> None:
    assert family == shared_family(one, other)
    assert family == shared_family(other, one)


def test_identity_is_where_a_model_comes_from() -> None:
    """Precision and device change no model; an adapter and a revision do."""
    one: dict[str, Json] = {"hub": "org/x", "revision": "1", "dtype": "float32", "device": "cpu"}
    assert identity(one) == identity({**one, "dtype": "bfloat16"})
    assert identity(one) != identity({**one, "adapter": "./a"})
    assert identity(one) != identity({**one, "revision": "2"})
    assert identity({"route": {}}) == {}


def test_a_name_of_kinds_and_sizes_says_nothing() -> None:
    assert families("instruct-7b-q4_0") == set()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"name": "gpt-4-0613"}, {"name": "gpt-4-0613", "base_url": "https://API.openai.com/v1/"}, True),
        ({"name": "m", "base_url": "http://a:1/v1"}, {"name": "m", "base_url": "http://A:1/v1/"}, True),
        ({"name": "m", "base_url": "http://a:1/v1"}, {"name": "m", "base_url": "http://a:2/v1"}, False),
        ({"name": "m"}, {"name": "n"}, False),
        ({"hub": "org/x"}, {"hub": "org/x"}, True),
    ],
)
def test_an_address_has_one_spelling(one: dict[str, Json], other: dict[str, Json], same: bool) -> None:
    """A contestant cannot judge under another spelling of its server."""
    assert (identity(one) == identity(other)) is same
