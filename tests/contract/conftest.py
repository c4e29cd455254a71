"""The engine for servers, beside those that load a model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evalkit.core.ports import Engine
from evalkit.core.types import Model
from evalkit.run.workers import open_engine


@pytest.fixture(scope="session")
def openai_engine(llama_server: str) -> Iterator[Engine]:
    """The embedded model behind that server."""
    model = Model("served", "openai", {"name": "smol", "base_url": llama_server}, options={"logprobs": True})
    engine = open_engine(model, lambda text: None)
    yield engine
    engine.close()
