"""How each model of a spec is paid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.ports import EngineAdapter
from evalkit.core.price import Rate
from evalkit.core.types import Model
from evalkit.spec.model import Spec
from evalkit.steps.bench import Bench
from evalkit.steps.pairing import Pairing


def rate_of(spec: Spec, model: Model) -> Rate:
    """By its price where it has one; the time of this machine is paid for models that run on it."""
    adapter: EngineAdapter = registry.load("engines", model.engine)
    hour = None if adapter.remote else spec.cost.get("gpu_hour")
    return Rate(spec.prices.get(model.name), hour, adapter.remote)


def rates_of(benches: Iterable[Bench], pairings: Iterable[Pairing] = ()) -> dict[str, Rate]:
    """The rate of each model that answers or judges in some benches, or compares in some pairings."""
    return dict(_rates(benches)) | {judge.model.name: judge.rate for one in pairings for judge in one.judges}


def _rates(benches: Iterable[Bench]) -> Iterator[tuple[str, Rate]]:
    for bench in benches:
        yield bench.model.name, bench.rate
        for arm in bench.arms:
            if arm.judge is not None:
                yield arm.judge.model.name, arm.judge.rate


def check_budget(spec: Spec, rates: dict[str, Rate]) -> None:
    """Raises SpecError where a budget cannot be kept, because a server's price is not known."""
    if spec.budget.usd is None:
        return
    for name, rate in rates.items():
        if rate.remote and rate.price is None:
            raise SpecError(
                f"budget.usd cannot be kept: the price of model '{name}' is not known",
                hint=f"add price: {{input_mtok: ..., output_mtok: ...}} to models.{name} (USD a million tokens), or "
                "limit budget.tokens",
            )
