"""vLLM on a CUDA device: not run in continuous integration, and by nobody yet; `tox -e gpu` runs it where a GPU is.

    EVALKIT_VLLM_PYTHON=~/envs/vllm/bin/python pytest tests/gpu

Each test opens its own engine, one after the other, so that one GPU is enough; those that want two say so.
"""

from __future__ import annotations

import os

import pytest
from msgspec.structs import replace

from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.vllm import ADAPTER
from evalkit.run.workers import open_engine

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.skipif("EVALKIT_VLLM_PYTHON" not in os.environ, reason="EVALKIT_VLLM_PYTHON names no interpreter"),
]
TWO = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
QUESTIONS = ("What is 2 + 3?", "Name the capital of France.", "Write a Python function that adds two numbers.")
GREEDY = SamplingParams(max_tokens=24)
DRAWN = SamplingParams(temperature=1.0, max_tokens=24, seed=5)
OPTIONS = (" Paris", " a banana", " London, of course")
SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}'


def model(engine: str = "vllm", **options: Json) -> Model:
    python = os.environ.get("EVALKIT_VLLM_PYTHON") if engine == "vllm" else None
    return Model("m", engine, {"embedded": "smollm2-135m"}, device="cuda", options=options, python=python)


def asked(sampling: SamplingParams, samples: int = 2) -> list[Request]:
    found = [
        Request(f"{text}/{index}", "t", text, Prompt((Message("user", text),)), sampling, index)
        for text in QUESTIONS
        for index in range(samples)
    ]
    weighed = Request("weighed", "t", "w", Prompt(text="The capital of France is"), GREEDY, continuations=OPTIONS)
    return [*found, weighed]


def answers(which: Model, requests: list[Request]) -> dict[str, Completion]:
    engine = open_engine(which, print)
    found = {one.key: one for one in engine.generate(requests)}
    engine.close()
    assert all(isinstance(one, Completion) for one in found.values())
    return {key: one for key, one in found.items() if isinstance(one, Completion)}


def test_auto_is_cuda_in_bfloat16() -> None:
    """By the torch of vLLM's interpreter."""
    parts = ADAPTER.fingerprint(replace(model(), device="auto")).parts
    assert ("cuda", "bfloat16") == (parts["device"], parts["dtype"])


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "graphs"])
def test_float32_says_what_transformers_says(eager: bool) -> None:
    """Likelihoods to 1e-2, greedy texts of the short answers, on the same device."""
    requests = asked(GREEDY, 1)
    ours = answers(replace(model(enforce_eager=eager, gpu_memory=0.3), dtype="float32"), requests)
    theirs = answers(replace(model("transformers"), dtype="float32"), requests)
    assert [one.logprob for one in theirs["weighed"].likelihoods] == pytest.approx(
        [one.logprob for one in ours["weighed"].likelihoods], abs=1e-2
    )
    assert theirs[requests[0].key].text == ours[requests[0].key].text


def test_batch_invariant_answers_do_not_notice_their_company() -> None:
    """In bfloat16, where rounding would show: alone and among others, bit by bit."""
    which = model(batch_invariant=True, gpu_memory=0.3)
    together = answers(which, asked(DRAWN, 8))
    for request in asked(DRAWN, 2)[::3]:
        alone = answers(which, [request])[request.key]
        assert (alone.text, alone.mean_logprob) == (together[request.key].text, together[request.key].mean_logprob)


def test_seeds_and_formats() -> None:
    """A seed gives the same again, two samples differ, a format holds."""
    form = replace(asked(DRAWN, 1)[0], key="form", sampling=replace(DRAWN, json_schema=SCHEMA))
    first, again = (answers(model(gpu_memory=0.3), [*asked(DRAWN), form]) for _ in range(2))
    assert {key: one.text for key, one in first.items()} == {key: one.text for key, one in again.items()}
    assert len({first[request.key].text for request in asked(DRAWN)[:2]}) == 2
    assert first["form"].text.startswith('{"n":')


def test_fp8_loads() -> None:
    """Quantized while it is loaded; another model by its fingerprint."""
    which = model(quantization="fp8", gpu_memory=0.3)
    assert "5" in answers(which, asked(GREEDY, 1))[f"{QUESTIONS[0]}/0"].text
    assert ADAPTER.fingerprint(which) != ADAPTER.fingerprint(model())


@TWO
@pytest.mark.parametrize("kind", ["tensor_parallel", "data_parallel"])
def test_two_devices_answer_as_one(kind: str) -> None:
    """In float32 the greedy texts are those of a single device."""
    requests = asked(GREEDY, 1)
    one, two = (replace(model(gpu_memory=0.3, **more), dtype="float32") for more in ({}, {kind: 2}))
    single, double = answers(one, requests), answers(two, requests)
    assert {key: found.text for key, found in single.items()} == {key: found.text for key, found in double.items()}
