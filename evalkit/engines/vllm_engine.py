"""A model that vLLM has loaded: requests go in, its step loop turns, answers leave as they finish.

Prompts are rendered and tokenised by the same codec as in the transformers engine, so that they have the same ids and
digests; vLLM gets ids and gives ids. Each request has sampling parameters of its own; what is reported as effective is
read back from the object that vLLM itself holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from evalkit.core.digest import digest, digest_text
from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Json, Model, Request, SamplingParams, Void
from evalkit.engines.batching import Group
from evalkit.engines.codec import TokenizerCodec
from evalkit.engines.vllm_options import Options, engine_arguments
from evalkit.engines.vllm_weigher import VllmWeigher

_SEED_DIGITS = 15
"""Hexadecimal digits of a request's own seed: it must fit into 63 bits."""


class VllmEngine:
    """See the module. `engine` is vLLM's, `lora` the adapter that every request names."""

    def __init__(self, model: Model, folder: Path, dtype: str, options: Options) -> None:
        from transformers import AutoTokenizer
        from vllm import EngineArgs, LLMEngine

        started = time.perf_counter()
        arguments = engine_arguments(model, folder, dtype, options)
        if "lora_target_modules" not in EngineArgs.__dataclass_fields__:  # older versions wrap every layer
            arguments.pop("lora_target_modules", None)
        self.engine: Json = LLMEngine.from_engine_args(EngineArgs(**arguments))
        self.started_s = time.perf_counter() - started
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.chat = getattr(tokenizer, "chat_template", None) is not None and model.chat is not False
        self.codec = TokenizerCodec(tokenizer, _said_of(folder))
        self.context: int = self.engine.vllm_config.model_config.max_model_len
        self.lora = _lora(model)
        self.weigher = VllmWeigher(self.turn, self.context)

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Answers as they finish, what is weighed before what is written."""
        yield from self.weigher.weigh(self.codec, self.chat, [one for one in requests if one.continuations])
        rows: dict[str, _Row] = {}
        for request in requests:
            if request.continuations:
                continue
            text, ids = self.codec.encode(request.prompt, self.chat)
            if len(ids) >= self.context:
                reason = f"the prompt has {len(ids)} tokens, the model's context ends at {self.context}"
                yield Void(request.key, reason, "engine")
            else:
                group = Group(text, ids, request.sampling, (request,))
                rows[request.key] = _Row(group, request, parameters(request, text, self.codec.stop_ids))
        yield from self._write(rows)

    def close(self) -> None:
        """Give the model's memory back, and end the processes that vLLM has started."""
        self.engine.engine_core.shutdown()

    def summary(self) -> str:
        """What the engine says of its work until now: one sentence, for the record of a run."""
        cache = self.engine.vllm_config.cache_config
        counted = {one.name: one.value for one in self.engine.get_metrics() if hasattr(one, "value")}
        asked, hit = (counted.get(f"vllm:prefix_cache_{name}", 0) for name in ("queries", "hits"))
        share = f", {hit / asked:.0%} of {asked} prompt tokens from the prefix cache" if asked else ""
        return (
            f"vLLM started in {self.started_s:.1f} s, with {cache.num_gpu_blocks} blocks of {cache.block_size} tokens"
            f"{share}, {counted.get('vllm:num_preemptions', 0)} preemptions"
        )

    def turn(self, asked: Mapping[str, tuple[Sequence[int], Json]]) -> Iterator[tuple[str, Json, float]]:
        """Have vLLM work on prompts (ids and parameters, by key); each of its outputs, with the seconds it is due.

        A caller that stops early leaves nothing behind.
        """
        from vllm import TokensPrompt

        unfinished = set()
        try:
            for key, (ids, sampling) in asked.items():
                prompt = TokensPrompt(prompt_token_ids=list(ids))
                try:
                    self.engine.add_request(key, prompt, sampling, lora_request=self.lora)
                except _refusals() as error:
                    raise _refused(error, sampling) from error
                unfinished.add(key)
            before = time.perf_counter()
            while self.engine.has_unfinished_requests():
                outputs = self.engine.step()
                if not outputs:  # prompts are being computed: their answers will be due that time too
                    continue
                now = time.perf_counter()
                due, before = (now - before) / len(outputs), now
                for output in outputs:
                    if output.finished:
                        unfinished.discard(output.request_id)
                    yield output.request_id, output, due
        finally:
            if unfinished:
                self.engine.abort_request(sorted(unfinished))

    def _write(self, rows: dict[str, _Row]) -> Iterator[Completion | Void]:
        asked = {key: (row.group.ids, row.sampling) for key, row in rows.items()}
        for key, output, seconds in self.turn(asked):
            row = rows[key]
            row.take(output.outputs[0], seconds)
            if output.finished:
                yield self._answer(row, output.outputs[0])

    def _answer(self, row: _Row, output: Json) -> Completion | Void:
        request, wanted = row.request, row.sampling.max_tokens
        ended = "length" if output.finish_reason == "length" else "stop"
        if output.finish_reason not in ("length", "stop"):
            return Void(request.key, f"vLLM ended the answer: {output.finish_reason}", "engine")
        if ended == "length" and len(row.ids) < wanted:
            reason = (
                f"the model's context of {self.context} tokens ended after {len(row.ids)} of at most {wanted} tokens"
            )
            return Void(request.key, reason, "engine")
        stop = request.sampling.stop
        text = self.codec.stops_within(row.group, row.ids, stop) if stop else None
        free = request.sampling.json_schema is None
        return Completion(
            key=request.key,
            text=self.codec.text(row.group, self._spoken(row.ids)) if text is None else text,
            finish_reason="length" if ended == "length" else "stop",
            effective=effective(request, row.group.prompt, row.sampling),
            prompt_sha256=digest_text(row.group.prompt),
            prompt_tokens=row.group.tokens,
            completion_tokens=len(row.ids),
            seconds=row.seconds,
            mean_logprob=row.logprob / len(row.ids) if free and row.logprob is not None else None,
        )

    def _spoken(self, ids: list[int]) -> list[int]:
        """An answer without the token that ended it."""
        return ids[:-1] if ids[-1:] and ids[-1] in self.codec.stop_ids else ids


@dataclass
class _Row:
    """One answer as it grows; `sampling` is vLLM's object."""

    group: Group
    request: Request
    sampling: Json
    ids: list[int] = field(default_factory=list)
    logprob: float | None = None
    seconds: float = 0.0

    def take(self, output: Json, seconds: float) -> None:
        """What vLLM has added. Its log-probability is the sum until now, of the model's own distribution; where a
        format masks the scores, of the masked one."""
        self.ids += output.token_ids
        self.logprob = output.cumulative_logprob
        self.seconds += seconds


def parameters(request: Request, prompt: str, stop_ids: frozenset[int]) -> Json:
    """A request as vLLM's SamplingParams, with a seed of its own for each prompt, seed and sample index.

    vLLM keeps this very object (`skip_clone`), so what it makes of it can be read back. Raises SpecError for what it
    refuses.
    """
    from vllm import SamplingParams as Theirs
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    wanted = request.sampling
    schema = wanted.json_schema
    try:
        return Theirs(
            temperature=float(wanted.temperature),
            top_p=float(wanted.top_p),
            top_k=wanted.top_k,
            min_p=float(wanted.min_p),
            repetition_penalty=float(wanted.repetition_penalty),
            max_tokens=wanted.max_tokens,
            stop=list(wanted.stop),
            stop_token_ids=sorted(stop_ids),
            seed=own_seed(prompt, wanted.seed, request.index),
            logprobs=0,
            detokenize=bool(wanted.stop),
            output_kind=RequestOutputKind.DELTA,
            structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
            skip_clone=True,
        )
    except _refusals() as error:
        raise _refused(error) from error


def own_seed(prompt: str, seed: int, index: int) -> int:
    """The seed of one answer: a function of prompt, declared seed and sample index alone."""
    return int(digest([digest_text(prompt), seed, index])[:_SEED_DIGITS], 16)


def effective(request: Request, prompt: str, theirs: Json) -> SamplingParams:
    """What vLLM's object says now. The declared seed is told where the object has the one that follows from it."""
    seed, form = request.sampling.seed, theirs.structured_outputs
    return SamplingParams(
        temperature=theirs.temperature,
        top_p=theirs.top_p,
        top_k=max(0, theirs.top_k),
        min_p=theirs.min_p,
        repetition_penalty=theirs.repetition_penalty,
        max_tokens=theirs.max_tokens,
        stop=tuple(theirs.stop),
        seed=seed if theirs.seed == own_seed(prompt, seed, request.index) else theirs.seed,
        json_schema=None if form is None else form.json,
    )


def _refusals() -> tuple[type[Exception], ...]:
    """How vLLM says that it will not do what a request asks: of older versions a ValueError."""
    from vllm import exceptions

    return (ValueError, *(found for found in [getattr(exceptions, "VLLMClientError", None)] if found is not None))


def _refused(error: Exception, sampling: Json = None) -> SpecError:
    said = str(error).strip().splitlines()[0]
    form = getattr(sampling, "structured_outputs", None)
    if form is not None and form.json is not None:
        message = f"xgrammar makes no grammar of the `format` {form.json:.120}: {said:.200}"
        return SpecError(message, hint="simplify the schema: docs/tasks.md says what a format may hold")
    return SpecError(f"vLLM refuses the request: {said:.300}", hint="change the sampling parameters of the policy")


def _lora(model: Model) -> Json:
    """The adapter as vLLM is asked for it, beside the weights and never merged. One engine has one: its number is 1."""
    if model.adapter is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest(lora_name="adapter", lora_int_id=1, lora_path=str(Path(model.adapter).expanduser()))


def _said_of(folder: Path) -> Json:
    """Which tokens end an answer, as the model's own files say: what the codec asks a loaded model for."""
    from transformers import AutoConfig, GenerationConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config(decoder=True)
    has = (folder / "generation_config.json").is_file()
    generation = GenerationConfig.from_pretrained(folder, local_files_only=True) if has else None
    return SimpleNamespace(config=config, generation_config=generation)
