"""The generation loop: prompts are computed once, answers leave as they finish, new prompts take their place.

What may differ between two runs with the same seeds: sums are rounded differently in batches of different shape, so a
logit can differ in its last digits, and a token that lies on such a boundary can differ. Nothing else depends on
which requests share a batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from evalkit.core.digest import digest_text
from evalkit.core.types import Completion, FinishReason, Json, Request, Void
from evalkit.engines.batching import Budget, Group, Live, Queue, queues
from evalkit.engines.decoding import Decoder, generation_config, uniform_stream

if TYPE_CHECKING:
    from torch import Tensor

    from evalkit.engines.grammar import Grammars, Place
    from evalkit.engines.kvcache import Memory

_REFILL_SHARE = 8
"""A batch takes in new prompts, or closes its gaps, when one row in this many is free."""


class Codec(Protocol):
    """Token ids to text, for one model."""

    stop_ids: frozenset[int]

    def text(self, group: Group, ids: Sequence[int]) -> str: ...

    def stops_within(self, group: Group, ids: Sequence[int], stop: Sequence[str]) -> str | None:
        """The text before the first stop string when the last token completed one, else None."""
        ...


@dataclass
class _Row:
    """One answer as it grows. `limit` is `max_tokens`, or less where the model's context ends before that.

    `place` is where it stands in the grammar of its format; None where it is free.
    """

    group: Group
    request: Request
    stream: Random
    limit: int
    place: Place | None = None
    ids: list[int] = field(default_factory=list)
    drawn: int = 0
    logprob: float = 0.0
    seconds: float = 0.0
    text: str | None = None


class Sampler:
    """Answers groups of requests with one model. `context` is the most columns the model was made for, or None.

    `grammars` makes formats hold; without it there are none.
    """

    def __init__(
        self, model: Json, codec: Codec, budget: Budget, context: int | None, grammars: Grammars | None = None
    ) -> None:
        self.model = model
        self.codec = codec
        self.budget = budget
        self.context = context
        self.grammars = grammars

    def generate(self, groups: Iterable[Group]) -> Iterator[Completion | Void]:
        """One answer for each request, in the order in which they finish."""
        fitting: list[Group] = []
        for group in groups:
            if self.context is not None and group.tokens >= self.context:
                reason = f"the prompt has {group.tokens} tokens, the model's context ends at {self.context}"
                yield from (Void(request.key, reason, "engine") for request in group.requests)
            else:
                fitting.append(group)
        for queue in queues(fitting):
            yield from self._drain(queue)

    def _drain(self, queue: Queue) -> Iterator[Completion | Void]:
        import torch

        sampling = queue.groups[0].sampling
        schema, grammars = sampling.json_schema, self.grammars
        grammar = grammars.of(schema) if grammars is not None and schema is not None else None
        decoder = Decoder(generation_config(sampling), grammar)
        batch = _Batch(self, decoder)
        while queue or batch.live:
            try:
                with torch.inference_mode():
                    finished = batch.go_on(queue)
            except torch.OutOfMemoryError as error:
                finished = self._make_do(batch, queue, error)
            yield from finished

    def _make_do(self, batch: _Batch, queue: Queue, error: Exception) -> list[Completion | Void]:
        """Ask the batch's unfinished requests again under half the budget; give up on what fails alone."""
        import torch

        groups, rows = batch.abandon()
        torch.cuda.empty_cache()
        if rows <= 1:
            reason = f"out of memory with a single answer in the batch: {str(error).splitlines()[0]}"
            return [Void(request.key, reason, "engine") for group in groups for request in group.requests]
        self.budget = self.budget.halved(rows)
        queue.put_back(groups)
        return []


class _Batch:
    """Rows that run together. A slot is a row's place in the tensors; a finished row leaves its slot empty."""

    def __init__(self, sampler: Sampler, decoder: Decoder) -> None:
        self.sampler = sampler
        self.decoder = decoder
        self._joining: list[_Row] = []
        self._clear()

    def _clear(self) -> None:
        from evalkit.engines.kvcache import memory_for

        self.memory: Memory = memory_for(self.sampler.model)
        self.slots: list[_Row | None] = []
        self.tokens: list[int] = []
        self.positions: list[int] = []

    @property
    def live(self) -> list[_Row]:
        return [row for row in self.slots if row is not None]

    def go_on(self, queue: Queue) -> list[Completion | Void]:
        """Take in what fits, or draw one more token for every row; returns the answers that finished."""
        live = self.live
        free = len(self.slots) - len(live)
        roomy = (self.sampler.budget.rows - len(live)) * _REFILL_SHARE >= self.sampler.budget.rows
        groups: list[Group] = []
        if queue and (not live or (roomy and self.memory.refillable)):
            remaining = max((row.limit - row.drawn for row in live), default=0)
            state = Live(len(live), self.memory.columns if live else 0, remaining)
            groups = queue.take(state, self.sampler.budget)
        if groups:
            return self._join(groups)
        if free and free * _REFILL_SHARE >= len(self.slots):
            self._close_gaps()
        return self._step()

    def abandon(self) -> tuple[list[Group], int]:
        """Forget everything computed; returns what is unfinished and how many rows that is."""
        rows = [*self.live, *self._joining]
        self._joining = []
        self._clear()
        again: dict[int, list[Request]] = {}
        groups = {id(row.group): row.group for row in rows}
        for row in rows:
            again.setdefault(id(row.group), []).append(row.request)
        unfinished = [structs.replace(groups[place], requests=tuple(requests)) for place, requests in again.items()]
        return unfinished, len(rows)

    def _join(self, groups: list[Group]) -> list[Completion | Void]:
        started = time.perf_counter()
        self._joining = rows = [self._row(group, request) for group in groups for request in group.requests]
        sources = [number for number, group in enumerate(groups) for _ in group.requests]
        cache, mask, logits = self._prefill(groups)
        if not self.live:
            self._clear()
        free = [slot for slot, row in enumerate(self.slots) if row is None]
        added = max(0, len(rows) - len(free))
        slots = [*free, *range(len(self.slots), len(self.slots) + added)][: len(rows)]
        self.memory.insert(cache, mask, slots, sources)
        chosen = self._choose(logits[sources], rows)
        self.slots += [None] * added
        self.tokens += [0] * added
        self.positions += [0] * added
        for slot, row in zip(slots, rows, strict=True):
            self.slots[slot] = row
            self.positions[slot] = row.group.tokens - 1
        self._joining = []
        return self._take_over(slots, chosen, time.perf_counter() - started)

    def _step(self) -> list[Completion | Void]:
        import torch

        started = time.perf_counter()
        device = self.sampler.model.device
        output = self.sampler.model(
            input_ids=torch.tensor(self.tokens, device=device)[:, None],
            position_ids=torch.tensor(self.positions, device=device)[:, None],
            attention_mask=self.memory.step_mask(),
            past_key_values=self.memory.cache,
            use_cache=True,
        )
        self.memory.advance()
        chosen = self._choose(output.logits[:, -1].float(), self.slots)
        return self._take_over(range(len(self.slots)), chosen, time.perf_counter() - started)

    def _prefill(self, groups: list[Group]) -> tuple[Json, Tensor, Tensor]:
        """Keys and values of the prompts, their mask (left padded), and the logits after their last token."""
        import torch
        from transformers import DynamicCache

        model = self.sampler.model
        width = max(group.tokens for group in groups)
        ids = torch.tensor([[group.ids[0]] * (width - group.tokens) + list(group.ids) for group in groups])
        mask = torch.tensor([[0] * (width - group.tokens) + [1] * group.tokens for group in groups])
        ids, mask = ids.to(model.device), mask.to(model.device)
        cache = DynamicCache(config=model.config)
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cache, mask, output.logits[:, -1].float()

    def _choose(self, logits: Tensor, rows: Sequence[_Row | None]) -> list[tuple[int, float]]:
        history = _history(rows, logits) if self.decoder.needs_history else None
        uniforms = [0.0 if row is None or self.decoder.greedy else row.stream.random() for row in rows]
        places = [None if row is None else row.place for row in rows]
        return list(zip(*self.decoder.choose(logits, history, uniforms, places), strict=True))

    def _take_over(
        self, slots: Iterable[int], chosen: list[tuple[int, float]], seconds: float
    ) -> list[Completion | Void]:
        """Give each slot its token; returns the answers that are finished by it."""
        finished: list[Completion | Void] = []
        occupied = [(slot, pair) for slot, pair in zip(slots, chosen, strict=True) if self.slots[slot] is not None]
        for slot, (token, logprob) in occupied:
            row = self.slots[slot]
            if row is None:
                continue
            row.drawn += 1
            row.logprob += logprob
            row.seconds += seconds / len(occupied)
            self.tokens[slot] = token
            self.positions[slot] += 1
            reason = self._end_of(row, token)
            if reason is not None:
                finished.append(self._answer(row, reason))
                self.slots[slot] = None
                self.memory.release(slot)
        return finished

    def _end_of(self, row: _Row, token: int) -> FinishReason | None:
        codec = self.sampler.codec
        if row.place is not None:
            row.place.accept(token)
        if token in codec.stop_ids:
            return "stop"
        row.ids.append(token)
        if self.decoder.stop:
            row.text = codec.stops_within(row.group, row.ids, self.decoder.stop)
            if row.text is not None:
                return "stop"
        return "length" if row.drawn >= row.limit else None

    def _answer(self, row: _Row, reason: FinishReason) -> Completion | Void:
        if reason == "length" and row.limit < self.decoder.max_tokens:
            return Void(
                row.request.key,
                f"the model's context of {self.sampler.context} tokens ended after {row.limit} of at most "
                f"{self.decoder.max_tokens} tokens",
                "engine",
            )
        return Completion(
            key=row.request.key,
            text=self.sampler.codec.text(row.group, row.ids) if row.text is None else row.text,
            finish_reason=reason,
            effective=self.decoder.effective(row.request.sampling.seed),
            prompt_sha256=digest_text(row.group.prompt),
            prompt_tokens=row.group.tokens,
            completion_tokens=row.drawn,
            seconds=row.seconds,
            mean_logprob=row.logprob / row.drawn,
        )

    def _row(self, group: Group, request: Request) -> _Row:
        limit, context = self.decoder.max_tokens, self.sampler.context
        if context is not None:
            limit = min(limit, context - group.tokens)
        stream = uniform_stream(digest_text(group.prompt), request.sampling.seed, request.index)
        grammar = self.decoder.grammar
        return _Row(group, request, stream, limit, grammar.begin() if grammar is not None else None)

    def _close_gaps(self) -> None:
        kept = [slot for slot, row in enumerate(self.slots) if row is not None]
        self.memory.keep(kept)
        self.slots = [self.slots[slot] for slot in kept]
        self.tokens = [self.tokens[slot] for slot in kept]
        self.positions = [self.positions[slot] for slot in kept]


def _history(rows: Sequence[_Row | None], logits: Tensor) -> Tensor:
    """Prompt and answer so far of each row, padded with the row's own first token, which adds nothing to a set."""
    import torch

    seen = [[0] if row is None else [*row.group.ids, *row.ids] for row in rows]
    width = max(map(len, seen))
    return torch.tensor([[ids[0]] * (width - len(ids)) + ids for ids in seen], device=logits.device)
