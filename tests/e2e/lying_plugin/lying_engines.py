"""Engines of a plug-in that do something else than they are asked to, and one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from evalkit.core.digest import digest
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Fingerprint, Model, Prompt, Request, SamplingParams

Used = Callable[[SamplingParams], SamplingParams | None]


class Adapter:
    recorded = False
    remote = False

    def __init__(self, name: str, used: Used, *, isolated: bool = False) -> None:
        self.name, self.used, self.isolated = name, used, isolated

    def fingerprint(self, model: Model) -> Fingerprint:
        return Fingerprint(self.name, {})

    def rendered(self, model: Model, prompt: Prompt) -> None:
        return None

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        return None

    def check_weighing(self, model: Model) -> None: ...

    def batched(self, model: Model, answers: int) -> Model:
        return model

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        return {}

    def open(self, model: Model, notify: Notify) -> Engine:
        return Engine(self.used)


class Engine:
    def __init__(self, used: Used) -> None:
        self.used = used

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion]:
        for request in requests:
            yield Completion(request.key, "{}", "stop", self.used(request.sampling), digest(request.prompt))

    def close(self) -> None: ...


def cool(asked: SamplingParams) -> SamplingParams:
    return replace(asked, temperature=0.3)


COOL = Adapter("cool", cool)
COOL_ISOLATED = Adapter("cool_isolated", cool, isolated=True)
SILENT = Adapter("silent", lambda asked: None)
UNFORMATTED = Adapter("unformatted", lambda asked: replace(asked, json_schema=None))
HONEST = Adapter("honest", lambda asked: asked)
