"""Keeps a run within its budget: counts what the answers cost, and asks only what is sure to fit.

A request to a model with a price is sent when the most that it may cost is left: its prompt is taken for as many tokens
as it has bytes, its answer for as long as it may be. Nobody knows how long a model of this machine will take, so time
is looked at after each answer. Whatever came is stored before the run stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

from msgspec import Struct

from evalkit.core.errors import RunIncomplete
from evalkit.core.ports import Engine, Store
from evalkit.core.price import Rate, Used
from evalkit.core.types import Completion, Request, Void
from evalkit.plan import Plan, rates_of
from evalkit.spec.model import Budget
from evalkit.steps.asking import wanted_of
from evalkit.steps.bench import Bench, chunks
from evalkit.steps.comparing import games_of
from evalkit.steps.routing import admitted
from evalkit.steps.turns import wanted

_CHUNK = 512
_TEMPLATE_TOKENS = 64
"""What a chat template may add to a message, in tokens."""
_HOUR = 3600
_UNKNOWN = Rate()


class _Cost(Struct, frozen=True):
    """An amount of each thing that a budget may limit."""

    usd: float = 0.0
    gpu_s: float = 0.0
    tokens: int = 0

    def plus(self, other: _Cost) -> _Cost:
        return _Cost(self.usd + other.usd, self.gpu_s + other.gpu_s, self.tokens + other.tokens)


class Meter:
    """What a run has spent, and whether more fits. Each answer is counted once."""

    def __init__(self, budget: Budget, rates: dict[str, Rate]) -> None:
        self._budget = budget
        self._rates = rates
        self._counted: set[str] = set()
        self._spent = _Cost()
        self._started = monotonic()

    @property
    def usd(self) -> float:
        return self._spent.usd

    def count_stored(self, plan: Plan, store: Store, identity: str) -> None:
        """Take what the run is made of already into account."""
        for bench in plan.benches:
            ready = admitted(bench, store, identity)
            for model, some in _stored(ready, store):
                self._count_all(model, some, store)
        for pairing in plan.pairings:
            for judge in pairing.judges:
                for games in games_of(pairing, judge, store, identity):
                    self._count_all(judge.model.name, games, store)

    def _count_all(self, model: str, asked: dict[str, Request], store: Store) -> None:
        for key, completion in store.completions(list(asked)).items():
            self.count(model, asked[key], completion)

    def count(self, model: str, request: Request, completion: Completion) -> None:
        """Add an answer. Where its server does not say how many tokens it is, the most that it may be."""
        if completion.key in self._counted:
            return
        self._counted.add(completion.key)
        rate = self._rates.get(model, _UNKNOWN)
        most = _most(rate, request)
        written = 0 if completion.likelihoods else completion.completion_tokens
        usd = rate.usd(Used(completion.prompt_tokens, written, completion.seconds))
        known = completion.prompt_tokens is not None and written is not None
        self._spent = self._spent.plus(
            _Cost(
                most.usd if usd is None else usd,
                0.0 if rate.remote or completion.seconds is None else completion.seconds,
                (completion.prompt_tokens or 0) + (written or 0) if known else most.tokens,
            )
        )

    def count_void(self, model: str, request: Request) -> None:
        """Add what came to nothing: a server may have been paid for it, and nobody says how much."""
        rate = self._rates.get(model, _UNKNOWN)
        if rate.remote:
            self._spent = self._spent.plus(_most(rate, request))

    def fitting(self, model: str, requests: Sequence[Request]) -> int:
        """How many of the first requests fit for sure; raises RunIncomplete when not even one does."""
        rate = self._rates.get(model, _UNKNOWN)
        total = self._spent
        for place, request in enumerate(requests):
            total = total.plus(_most(rate, request))
            if self._over(total):
                if not place:
                    self._stop(total)
                return place
        return len(requests)

    def check(self) -> None:
        """Raises RunIncomplete when more than the budget is spent."""
        if self._over(self._spent):
            self._stop(self._spent)

    def _over(self, cost: _Cost) -> bool:
        return any(limit is not None and amount > limit for _, amount, limit in self._amounts(cost))

    def _amounts(self, cost: _Cost) -> tuple[tuple[str, float, float | None], ...]:
        budget = self._budget
        return (
            ("usd", cost.usd, budget.usd),
            ("gpu_hours", cost.gpu_s / _HOUR, budget.gpu_hours),
            ("hours", (monotonic() - self._started) / _HOUR, budget.hours),
            ("tokens", cost.tokens, budget.tokens),
        )

    def _stop(self, reached: _Cost) -> None:
        spent = {name: amount for name, amount, _ in self._amounts(self._spent)}
        name, amount, limit = next(one for one in self._amounts(reached) if one[2] is not None and one[1] > one[2])
        ahead = amount - spent[name]
        more = f", and the next answer may take {ahead:.3g} more" if ahead > 0 else ""
        raise RunIncomplete(
            f"the budget is spent: {spent[name]:.4g} of {limit:.4g} {name}{more}",
            hint=f"raise budget.{name} and run again: what is stored is not asked again",
        )


def _most(rate: Rate, request: Request) -> _Cost:
    """The most that an answer may cost, of what can be known before."""
    texts = [message.content for message in request.prompt.messages] or [request.prompt.text or ""]
    prompt = sum(len(text.encode()) + _TEMPLATE_TOKENS for text in texts)
    if request.continuations:  # each may be a request of its own, with the prompt before it
        prompt = sum(prompt + len(text.encode()) for text in request.continuations)
    written = 0 if request.continuations else request.sampling.max_tokens
    return _Cost(usd=rate.at_most(prompt, written) or 0.0, tokens=prompt + written)


def _stored(bench: Bench, store: Store) -> Iterator[tuple[str, dict[str, Request]]]:
    """The model, and by key the requests that the store has answers to, of a bench, some at a time."""
    for arm in bench.arms:
        found = (cell.request for cell, stored in wanted(bench, arm, store) if stored)
        for some in chunks(found, _CHUNK):
            yield bench.model.name, {request.key: request for request in some}
        if arm.judge is not None:
            for asked in wanted_of(bench, arm, store):
                yield arm.judge.model.name, asked


class MeteredEngine:
    """An engine that is asked no more than fits into the budget."""

    def __init__(self, inner: Engine, model: str, meter: Meter) -> None:
        self.inner = inner
        self.model = model
        self.meter = meter

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """As the port says, but raises RunIncomplete when the budget is spent."""
        rest = list(requests)
        while rest:
            fits = self.meter.fitting(self.model, rest)
            some, rest = rest[:fits], rest[fits:]
            asked = {request.key: request for request in some}
            for answer in self.inner.generate(some):
                if isinstance(answer, Completion):
                    self.meter.count(self.model, asked[answer.key], answer)
                else:
                    self.meter.count_void(self.model, asked[answer.key])
                yield answer
                self.meter.check()

    def close(self) -> None:
        self.inner.close()


def meter_of(plan: Plan) -> Meter | None:
    """What keeps a plan's budget; None where it has none."""
    budget = plan.spec.budget
    if budget == Budget():
        return None
    return Meter(budget, rates_of(plan.benches, plan.pairings))


def metered(engine: Engine, model: str, meter: Meter | None) -> Engine:
    return engine if meter is None else MeteredEngine(engine, model, meter)
