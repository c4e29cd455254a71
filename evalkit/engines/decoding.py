"""How the next token is chosen: transformers' own logits processors, seeded numbers, nothing hidden.

A request becomes a `GenerationConfig`; the processors are made from that object alone, and what a completion reports as
effective is read back from the processors that ran, the format from the grammar that masked their scores. The model's
own generation defaults never enter.

Source of the draw: the inverse of the cumulative distribution at a uniform number. Each row has its own stream of
numbers, seeded by (prompt, seed, sample index), so an answer does not depend on its neighbours in the batch, except
where rounding in a differently shaped batch moves a logit across a boundary (about one token in many thousands in
float32, more in bfloat16).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalkit.core.digest import digest
from evalkit.core.errors import ContractError, SpecError
from evalkit.core.types import Json, SamplingParams

if TYPE_CHECKING:
    from torch import Tensor

    from evalkit.engines.grammar import Grammar, Place

_SEED_DIGITS = 16


def uniform_stream(prompt_sha256: str, seed: int, index: int) -> random.Random:
    """The numbers in [0, 1) that draw one answer: the same on every device and platform."""
    return random.Random(int(digest([prompt_sha256, seed, index])[:_SEED_DIGITS], 16))


def generation_config(sampling: SamplingParams) -> Json:
    """The request as transformers' GenerationConfig. Raises SpecError for values it refuses."""
    from transformers import GenerationConfig

    warpers = {} if sampling.greedy else {
        "temperature": float(sampling.temperature),
        "top_p": float(sampling.top_p),
        "top_k": sampling.top_k,
        "min_p": float(sampling.min_p),
    }  # fmt: skip
    try:
        return GenerationConfig(
            do_sample=not sampling.greedy,
            max_new_tokens=sampling.max_tokens,
            repetition_penalty=float(sampling.repetition_penalty),
            stop_strings=list(sampling.stop) or None,
            **warpers,
        )
    except ValueError as error:
        raise SpecError(f"sampling parameters that cannot be used: {error}") from error


class Decoder:
    """One set of sampling parameters at work. `max_tokens` and `stop` are what the sampler obeys.

    `grammar` masks what would break a format, before any other processor sees the scores; None where answers are free.
    """

    def __init__(self, config: Json, grammar: Grammar | None = None) -> None:
        self.grammar = grammar
        self.greedy: bool = not config.do_sample
        self.max_tokens: int = config.max_new_tokens
        self.stop: tuple[str, ...] = tuple(config.stop_strings or ())
        try:
            self._penalties = _penalties(config)
            self._warpers = [] if self.greedy else _warpers(config)
        except ValueError as error:
            raise SpecError(f"sampling parameters that cannot be used: {error}") from error

    @property
    def needs_history(self) -> bool:
        """Whether `choose` looks at the tokens so far."""
        return bool(self._penalties)

    def choose(
        self,
        logits: Tensor,
        history: Tensor | None,
        uniforms: list[float],
        places: Sequence[Place | None] = (),
    ) -> tuple[list[int], list[float]]:
        """The next token of each row and its log-probability under the model itself, before any processor.

        `logits` is (rows, vocabulary) in float32, `history` (rows, columns) of token ids, `uniforms` one number a row,
        `places` each row's place in the grammar where there is one.
        """
        import torch

        scores = logits if self.grammar is None else self.grammar.masked(logits, places)
        for processor in (*self._penalties, *self._warpers):
            scores = processor(history, scores)
        chosen = scores.argmax(-1) if self.greedy else _draw(scores, uniforms)
        logprobs = logits.gather(1, chosen[:, None])[:, 0] - torch.logsumexp(logits, -1)
        return chosen.tolist(), logprobs.tolist()

    def effective(self, seed: int) -> SamplingParams:
        """The parameters in the live processors; `seed` is the one the row's stream was made from."""
        found = {type(processor).__name__: processor for processor in (*self._penalties, *self._warpers)}

        def read(name: str, attribute: str, off: Json) -> Json:
            return getattr(found[name], attribute) if name in found else off

        return SamplingParams(
            temperature=0.0 if self.greedy else read("TemperatureLogitsWarper", "temperature", 1.0),
            top_p=read("TopPLogitsWarper", "top_p", 1.0),
            top_k=read("TopKLogitsWarper", "top_k", 0),
            min_p=read("MinPLogitsWarper", "min_p", 0.0),
            repetition_penalty=read("RepetitionPenaltyLogitsProcessor", "penalty", 1.0),
            max_tokens=self.max_tokens,
            stop=self.stop,
            seed=seed,
            json_schema=None if self.grammar is None else self.grammar.schema,
        )


def _penalties(config: Json) -> list[Json]:
    from transformers import RepetitionPenaltyLogitsProcessor

    penalty = config.repetition_penalty
    return [] if penalty in (None, 1.0) else [RepetitionPenaltyLogitsProcessor(penalty)]


def _warpers(config: Json) -> list[Json]:
    """In the order in which transformers applies them: temperature, top-k, top-p, min-p."""
    from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    warpers: list[Json] = []
    if config.temperature not in (None, 1.0):
        warpers.append(TemperatureLogitsWarper(config.temperature))
    if config.top_k:
        warpers.append(TopKLogitsWarper(config.top_k))
    if config.top_p not in (None, 1.0):
        warpers.append(TopPLogitsWarper(config.top_p))
    if config.min_p:
        warpers.append(MinPLogitsWarper(config.min_p))
    return warpers


def _draw(scores: Tensor, uniforms: list[float]) -> Tensor:
    """One token a row: the first whose cumulative probability exceeds the row's number; never one of probability 0.

    The sum is in float64 where the device has it: over a large vocabulary float32 loses the rare tokens.
    """
    import torch

    wide = torch.float32 if scores.device.type == "mps" else torch.float64
    cumulative = torch.softmax(scores, -1).to(wide).cumsum(-1)
    total = cumulative[:, -1:]
    if not bool(torch.isfinite(total).all()):
        raise ContractError(
            "the model gave scores that are not numbers",
            hint="use dtype: float32 (or bfloat16 on CUDA); float16 overflows in many models",
        )
    wanted = torch.tensor(uniforms, dtype=wide, device=scores.device)[:, None] * total
    below_total = torch.nextafter(total, torch.zeros_like(total))
    return torch.searchsorted(cumulative, torch.minimum(wanted, below_total), right=True)[:, 0]
