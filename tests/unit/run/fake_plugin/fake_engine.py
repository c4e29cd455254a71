"""An engine that misbehaves on demand: `model.source` says how. Registered as a plug-in would be."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Fingerprint, Likelihood, Model, Prompt, Request, SamplingParams, Void

FILLER = "x" * 1024
"""Makes answers large enough that a few dozen of them fill a pipe."""


class FakeAdapter:
    isolated = True
    recorded = False
    remote = False

    def fingerprint(self, model: Model) -> Fingerprint:
        return Fingerprint("fake", {})

    def rendered(self, model: Model, prompt: Prompt) -> None:
        return None

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        return None

    def check_weighing(self, model: Model) -> None: ...

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        return {}

    def replicas(self, model: Model) -> list[Model]:
        """A worker for each behaviour that the source lists."""
        wanted = model.source.get("replicas")
        if wanted is None:
            return [model]
        own = {"dies": {"behaviour": "dies"}, "fails_to_open": {"open": "fails"}}
        return [replace(model, source={"log": model.source["log"], **own.get(one, {})}) for one in wanted]

    def open(self, model: Model, notify: Notify) -> FakeEngine:
        note(model, f"open {os.getpid()}")
        notify("opening the fake")
        if model.source.get("open") == "fails":
            raise PrerequisiteError("the fake is missing", hint="install the fake", where="fake.py")
        if model.source.get("behaviour") == "tells_where":
            notify(f"{sys.executable} {'with' if find_spec('pytest') else 'without'} pytest")
        return FakeEngine(model)


class FakeEngine:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.behaviour = model.source.get("behaviour", "good")

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        note(self.model, f"asked {len(requests)}")
        for number, request in enumerate(requests):
            getattr(self, f"_before_{self.behaviour}", lambda number: None)(number)
            yield self._answer(request)
        if self.behaviour == "twice":
            yield self._answer(requests[-1])

    def close(self) -> None:
        note(self.model, "close")

    def _answer(self, request: Request) -> Completion | Void:
        if request.continuations:
            given = {"forgets_one": 1}.get(self.behaviour, len(request.continuations))
            logprob = float("-inf") if self.behaviour == "is_not_a_number" else -1.0
            known = tuple(Likelihood(logprob) for _ in range(given))
            return Completion(request.key, "", "weighed", None, "0" * 64, likelihoods=known)
        if self.behaviour == "voids":
            return Void(request.key, "the fake would not", "engine")
        effective = request.sampling
        if self.behaviour == "ignores_temperature":
            effective = SamplingParams(temperature=0.7, max_tokens=request.sampling.max_tokens)
        return Completion(request.key, f"{request.key} {FILLER}", "stop", effective, "0" * 64)

    def _before_dies(self, number: int) -> None:
        if number == 1:
            print("last words of the fake", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def _before_crashes(self, number: int) -> None:
        raise RuntimeError("a bug in the fake")

    def _before_shouts(self, number: int) -> None:
        print("noise on stdout", flush=True)
        os.write(1, b"noise on descriptor 1\n")
        os.write(2, b"noise on descriptor 2\n")

    def _before_spins(self, number: int) -> None:
        while number == 1:
            pass


def note(model: Model, text: str) -> None:
    if "log" in model.source:
        with Path(model.source["log"]).open("a") as log:
            log.write(text + "\n")


ADAPTER = FakeAdapter()
