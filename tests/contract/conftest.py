"""A real server for the engines that ask one: llama.cpp's, in this process, with the embedded model."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Engine
from evalkit.core.types import Model
from evalkit.engines import embedded
from evalkit.fetch import package
from evalkit.run.workers import open_engine

_SLOTS = 4
_CONTEXT = 2048


@pytest.fixture(scope="session")
def llama_server() -> Iterator[str]:
    """Its address. The model is called `smol`; four requests are answered at a time."""
    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    if find_spec("openai") is None:
        pytest.skip("openai is not installed")
    import xllamacpp

    model = embedded.lookup("smollm2-135m")
    try:
        weights = package.member(model.package, model.member, model.sha256, lambda text: None)
    except PrerequisiteError as error:
        pytest.skip(str(error))
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = ["smol"]
    params.n_parallel, params.n_ctx, params.port, params.verbosity = _SLOTS, _SLOTS * _CONTEXT, 0, -1
    params.cpuparams.n_threads = 1  # several would wait for each other in loops, and longest on a busy machine
    params.cache_prompt = False  # a prompt that is half computed is summed in another order
    running = xllamacpp.Server(params)
    yield f"{running.listening_address}/v1"
    del running


@pytest.fixture(scope="session")
def openai_engine(llama_server: str) -> Iterator[Engine]:
    """The embedded model behind that server."""
    model = Model("served", "openai", {"name": "smol", "base_url": llama_server}, options={"logprobs": True})
    engine = open_engine(model, lambda text: None)
    yield engine
    engine.close()
