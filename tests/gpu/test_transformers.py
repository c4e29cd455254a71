"""The embedded model on a CUDA device: not run in continuous integration, `tox -e gpu` runs it where a GPU is.

pytest tests/gpu
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from evalkit.core.keys import completion_key
from evalkit.core.types import Completion, Fingerprint, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.transformers import ADAPTER

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
QUESTIONS = ["What is 2 + 3?", "Name the capital of France.", "Write a Python function that adds two numbers."]


def answers(device: str, dtype: str, sampling: SamplingParams) -> list[Completion]:
    """The model's answers to the questions, two of each."""
    model = Model("m", "transformers", {"embedded": "smollm2-135m"}, device=device, dtype=dtype)
    engine = ADAPTER.open(model, print)
    asked = [
        Request("", "t", str(number), Prompt((Message("user", question),)), sampling, index)
        for number, question in enumerate(QUESTIONS)
        for index in range(2)
    ]
    requests = [replace(one, key=completion_key(Fingerprint("x", {}), one)) for one in asked]
    found = {one.key: one for one in engine.generate(requests) if isinstance(one, Completion)}
    engine.close()
    return [found[request.key] for request in requests]


def test_auto_is_cuda_in_bfloat16() -> None:
    """Where a device is visible it is taken, and the fingerprint says so."""
    parts = ADAPTER.fingerprint(Model("m", "transformers", {"embedded": "smollm2-135m"})).parts
    assert ("cuda", "bfloat16") == (parts["device"], parts["dtype"])


def test_greedy_float32_is_the_cpus_text() -> None:
    """The same weights in the same precision say the same."""
    greedy = SamplingParams(max_tokens=24)
    on_cpu = [one.text for one in answers("cpu", "float32", greedy)]
    assert on_cpu == [one.text for one in answers("cuda", "float32", greedy)]


def test_a_seed_gives_the_same_samples_again() -> None:
    """Sampling on the device is seeded, and two samples of one prompt differ."""
    drawn = SamplingParams(temperature=1.0, max_tokens=24, seed=5)
    first = [one.text for one in answers("cuda", "bfloat16", drawn)]
    assert first == [one.text for one in answers("cuda", "bfloat16", drawn)]
    assert first[0] != first[1]
