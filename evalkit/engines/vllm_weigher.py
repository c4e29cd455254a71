"""How likely continuations are after a prompt, by vLLM's log-probabilities of prompt tokens.

Prompt and continuation are given as one prompt, of which vLLM says each token's log-probability and rank. It does not
read its prefix cache for such a request, for it would have no logits of what is cached: the prompt is computed for each
continuation. Where all continuations are one token, as letters are, the prompt is given once and asked for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.core.types import Completion, Json, Likelihood, Request, Void
from evalkit.engines.codec import TokenizerCodec
from evalkit.engines.weigher import Pan

Turn = Callable[[Mapping[str, tuple[Sequence[int], Json]]], Iterator[tuple[str, Json, float]]]
"""Prompts (ids and vLLM's parameters) by key → outputs, each with its key and the seconds it is due."""


@dataclass
class _Result:
    pan: Pan
    likelihoods: dict[int, Likelihood] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return len(self.likelihoods) == len(self.pan.continuations)


class VllmWeigher:
    """Weighs requests with one engine, whose `turn` asks it; `context` is the most tokens it takes."""

    def __init__(self, turn: Turn, context: int) -> None:
        self._turn = turn
        self._context = context

    def weigh(self, codec: TokenizerCodec, chat: bool, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """One answer for each request, as they are complete; what does not fit or has no tokens is Void."""
        results = {}
        for request in requests:
            text, context, continuations = codec.encode_pairs(request.prompt, request.continuations, chat)
            pan = Pan(request, text, context, tuple(continuations))
            problem = self._problem(pan)
            if problem is None:
                results[request.key] = _Result(pan)
            else:
                yield Void(request.key, problem, "engine")
        letters = {key: one for key, one in results.items() if _is_of_letters(one.pan)}
        yield from self._read(letters)  # apart: vLLM takes one batch's log-probabilities all in the same way
        yield from self._score({key: one for key, one in results.items() if key not in letters})

    def _problem(self, pan: Pan) -> str | None:
        if not all(pan.continuations):
            empty = pan.request.continuations[pan.continuations.index(())]
            return f"the continuation {empty!r:.80} has no tokens of its own"
        longest = len(pan.context) + max(map(len, pan.continuations))
        if longest >= self._context:  # vLLM writes one token more, which nobody reads
            return f"prompt and continuation have {longest} tokens, the model's context ends at {self._context}"
        return None

    def _read(self, results: dict[str, _Result]) -> Iterator[Completion]:
        """The next token's distribution at the tokens wanted, and which one is the likeliest."""
        from vllm import SamplingParams

        asked = {}
        for key, result in results.items():
            wanted = [one[0] for one in result.pan.continuations]
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=1,
                detokenize=False,
                ignore_eos=True,
                logprobs=len(set(wanted)),
                logprob_token_ids=list(dict.fromkeys(wanted)),
            )
            asked[key] = (result.pan.context, sampling)
        for key, output, seconds in self._turn(asked):
            result = results[key]
            [first] = output.outputs
            known, [likeliest] = first.logprobs[0], first.token_ids
            for place, (token,) in enumerate(result.pan.continuations):
                result.likelihoods[place] = Likelihood(known[token].logprob, 1, token == likeliest)
            result.seconds += seconds
            yield _answer(result)

    def _score(self, results: dict[str, _Result]) -> Iterator[Completion]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            prompt_logprobs=1,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        asked, places = {}, {}
        for key, result in results.items():
            for place, continuation in enumerate(result.pan.continuations):
                name = f"{key}/{place}"
                places[name] = (key, place)
                asked[name] = (result.pan.context + continuation, sampling)
        for name, output, seconds in self._turn(asked):
            key, place = places[name]
            result = results[key]
            result.likelihoods[place] = _likelihood(result.pan, place, output.prompt_logprobs)
            result.seconds += seconds
            if result.complete:
                yield _answer(result)


def _is_of_letters(pan: Pan) -> bool:
    """Whether every continuation is one token, and this vLLM can be asked for chosen ones."""
    from vllm import SamplingParams

    can = "logprob_token_ids" in SamplingParams.__struct_fields__
    return can and all(len(one) == 1 for one in pan.continuations)


def _likelihood(pan: Pan, place: int, logprobs: Sequence[Json]) -> Likelihood:
    """The sum over the continuation's own tokens; rank 1 is the most likely token of all."""
    begin = len(pan.context)
    known = [logprobs[begin + number][token] for number, token in enumerate(pan.continuations[place])]
    return Likelihood(sum(one.logprob for one in known), len(known), all(one.rank == 1 for one in known))


def _answer(result: _Result) -> Completion:
    return result.pan.answer(result.likelihoods, result.seconds)
