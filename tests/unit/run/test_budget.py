"""A run stays within its budget: what is sure to fit is asked, and what came is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from msgspec.structs import replace

from evalkit.core.errors import RunIncomplete
from evalkit.core.price import Price, Rate
from evalkit.core.types import Completion, Message, Prompt, Request, SamplingParams, Void
from evalkit.run.budget import Meter, MeteredEngine
from evalkit.spec.model import Budget

DOLLAR = Rate(Price(0.0, 1_000_000.0), remote=True)
"""One dollar an answered token."""


class Server:
    """Answers each request with `tokens` tokens, in `seconds`."""

    def __init__(self, tokens: int | None = 2, seconds: float = 1.0) -> None:
        self.tokens = tokens
        self.seconds = seconds
        self.calls: list[int] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        self.calls.append(len(requests))
        for one in requests:
            yield Completion(one.key, "x", "stop", one.sampling, "", 10, self.tokens, self.seconds)

    def close(self) -> None:
        pass


def requests(count: int, max_tokens: int = 10) -> list[Request]:
    prompt = Prompt((Message("user", "hello"),))
    return [Request(f"k{n}", "t", str(n), prompt, SamplingParams(max_tokens=max_tokens)) for n in range(count)]


def drain(engine: MeteredEngine, count: int) -> tuple[list[Completion | Void], RunIncomplete | None]:
    came: list[Completion | Void] = []
    try:
        for answer in engine.generate(requests(count)):
            came.append(answer)
    except RunIncomplete as stopped:
        return came, stopped
    return came, None


def metered(server: Server, budget: Budget, rate: Rate = DOLLAR) -> tuple[MeteredEngine, Meter]:
    meter = Meter(budget, {"m": rate})
    return MeteredEngine(server, "m", meter), meter


def test_what_fits_is_asked_at_once() -> None:
    server = Server()
    came, stopped = drain(metered(server, Budget(usd=100.0))[0], 10)
    assert (len(came), stopped, server.calls) == (10, None, [10])


def test_never_more_than_the_budget_and_nearly_all_of_it() -> None:
    """Each answer may take 10 dollars and takes 2: of 30 dollars 21 to 30 are spent, in fewer and fewer requests."""
    server = Server()
    engine, meter = metered(server, Budget(usd=30.0))
    came, stopped = drain(engine, 100)
    assert server.calls == [3, 2, 2, 1, 1, 1, 1]
    assert (len(came), meter.usd) == (11, 22.0)
    assert stopped is not None
    assert stopped.message == "the budget is spent: 22 of 30 usd, and the next answer may take 10 more"
    assert stopped.hint == "raise budget.usd and run again: what is stored is not asked again"


def test_a_server_that_does_not_count_is_taken_for_the_most() -> None:
    engine, meter = metered(Server(tokens=None), Budget(usd=30.0))
    came, stopped = drain(engine, 100)
    assert (len(came), meter.usd, stopped is not None) == (3, 30.0, True)


def test_time_is_looked_at_after_each_answer() -> None:
    """Nobody knows before how long an answer takes: the one that goes over is the last."""
    engine, _ = metered(Server(seconds=600.0), Budget(gpu_hours=0.5), Rate())
    came, stopped = drain(engine, 100)
    assert len(came) == 4
    assert stopped is not None
    assert stopped.message == "the budget is spent: 0.6667 of 0.5 gpu_hours"


def test_seconds_of_a_server_are_nobodys_gpu_hours() -> None:
    engine, _ = metered(Server(seconds=600.0), Budget(gpu_hours=0.5))
    assert drain(engine, 10)[1] is None


def test_tokens_are_prompts_and_answers() -> None:
    """A prompt of five bytes is taken for 69 tokens at most, and turns out to be 10."""
    engine, _ = metered(Server(), Budget(tokens=100), Rate())
    came, stopped = drain(engine, 100)
    assert len(came) == 2
    assert stopped is not None
    assert stopped.message == "the budget is spent: 24 of 100 tokens, and the next answer may take 79 more"


def test_an_answer_is_counted_once() -> None:
    meter = Meter(Budget(usd=30.0), {"m": DOLLAR})
    [request] = requests(1)
    for _ in range(3):
        meter.count("m", request, Completion("k", "x", "stop", None, "", 10, 2))
    assert meter.usd == 2.0


@pytest.mark.parametrize("budget", [Budget(hours=1.0), Budget(tokens=10_000), Budget(usd=1000.0)])
def test_an_ample_budget_stops_nothing(budget: Budget) -> None:
    assert drain(metered(Server(), budget)[0], 20)[1] is None


def test_what_came_to_nothing_may_have_been_paid() -> None:
    """A server that filters bills what it filtered: ten dollars at most, each."""

    class Filtering(Server):
        def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
            self.calls.append(len(requests))
            yield from (Void(one.key, "a content filter", "engine") for one in requests)

    server = Filtering()
    came, stopped = drain(metered(server, Budget(usd=30.0))[0], 40)
    assert (len(came), server.calls, stopped is not None) == (3, [3], True)


def test_each_continuation_may_be_a_request() -> None:
    """With its prompt before it: five bytes and 64 tokens for the template, four times, and the continuations."""
    [request] = requests(1)
    weighing = replace(request, continuations=("a", "b", "cc", "d"))
    meter = Meter(Budget(tokens=4 * 69 + 5), {"m": Rate()})
    assert meter.fitting("m", [weighing]) == 1
    with pytest.raises(RunIncomplete):
        Meter(Budget(tokens=4 * 69 + 4), {"m": Rate()}).fitting("m", [weighing])
