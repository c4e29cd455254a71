"""How likely continuations are after a prompt: computed in batches, nothing drawn, nothing generated.

A prompt is computed once for all of its continuations. What they have in common beyond it (all of it, where there is
but one) belongs to that first pass; the rest of each is a second, short one over the same keys and values. A
continuation of one token, such as a letter, is read from the first pass alone. Prompts that begin alike, with the same
solved examples, are batched together, and that beginning is computed once for the batch.

Prompts are padded on the left and continuations on the right, so that a continuation stands beside its prompt and
windowed layers see what they would see without padding.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from evalkit.core.digest import digest_text
from evalkit.core.types import Completion, Json, Likelihood, Request, Void
from evalkit.engines.batching import Budget

if TYPE_CHECKING:
    from torch import Tensor

_LOGITS_BYTES = {"cpu": 128 << 20, "cuda": 1 << 30}
"""Memory for the logits of one pass over continuations: one number for each word of the vocabulary and each token."""


_TRUNK = 32
"""Tokens that prompts must have in common to be batched for it."""
_Place: TypeAlias = tuple[int, int]
"""A continuation of a batch: the number of its item there, and its place in the pan."""


class Pan(Struct, frozen=True):
    """A request to be weighed, tokenised: the ids of its context and of each continuation, none of them empty."""

    request: Request
    prompt: str
    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]

    def answer(self, likelihoods: Mapping[int, Likelihood], seconds: float) -> Completion:
        """What was weighed, as the port wants it; `likelihoods` are by the place of their continuation."""
        return Completion(
            key=self.request.key,
            text="",
            finish_reason="weighed",
            effective=None,
            prompt_sha256=digest_text(self.prompt),
            prompt_tokens=len(self.context),
            seconds=seconds,
            likelihoods=tuple(likelihoods[place] for place in range(len(self.continuations))),
        )


class _Item(Struct, frozen=True):
    """Some continuations of a pan: `places` says which. `shared` is how many tokens all of them begin with."""

    pan: Pan
    places: tuple[int, ...]
    shared: int

    @property
    def prefix(self) -> tuple[int, ...]:
        """What the first pass computes."""
        return self.pan.context + self.pan.continuations[self.places[0]][: self.shared]

    def rest(self, place: int) -> tuple[int, ...]:
        """What the second pass computes for one of them: the last token is only predicted, never read."""
        return self.pan.continuations[place][self.shared : -1]


@dataclass
class _Result:
    """What is known of a pan so far."""

    likelihoods: dict[int, Likelihood] = field(default_factory=dict)
    seconds: float = 0.0


class Weigher:
    """Weighs pans with one model. `context` is the most tokens the model was made for, or None."""

    def __init__(self, model: Json, budget: Budget, context: int | None) -> None:
        self.model = model
        self.budget = budget
        self.context = context
        self._results: dict[str, _Result] = {}

    def weigh(self, pans: Iterable[Pan]) -> Iterator[Completion | Void]:
        """One answer for each pan, as batches end."""
        items: list[_Item] = []
        for pan in pans:
            longest = len(pan.context) + max(map(len, pan.continuations)) - 1
            if self.context is not None and longest > self.context:
                reason = (
                    f"prompt and continuation have {longest + 1} tokens, the model's context ends at {self.context}"
                )
                yield Void(pan.request.key, reason, "engine")
            else:
                self._results[pan.request.key] = _Result()
                items.append(_item(pan, range(len(pan.continuations))))
        _arrange(items, together=self._sees_everything)
        while items:
            yield from self._step(items)

    def _step(self, items: list[_Item]) -> list[Completion | Void]:
        """Weigh the next batch; one that is too large for the memory goes back in smaller parts."""
        import torch

        batch = self._take(items)
        try:
            with torch.inference_mode():
                self._compute(batch)
        except torch.OutOfMemoryError as error:
            return self._make_do(batch, items, error)
        pans = {item.pan.request.key: item.pan for item in batch}
        return [self._answer(pan) for pan in pans.values() if self._complete(pan)]

    def _take(self, items: list[_Item]) -> list[_Item]:
        """The next items, none longer than the first, as many as the budget holds; at least one."""
        width = len(items[0].prefix)
        alike = list(takewhile(lambda item: _head(item) == _head(items[0]), items))
        trunk = self._trunk(alike)
        candidates = alike if trunk else list(takewhile(lambda item: len(item.prefix) <= width, items))
        positions, shared, taken = self._positions(), 0, 0
        for item in candidates[: max(1, min(self.budget.prefill // (width - trunk), self.budget.tokens // width))]:
            shared = max(shared, item.shared)
            if taken and (taken + 1) * (shared + 1) > positions:
                break
            taken += 1
        batch = items[:taken]
        del items[:taken]
        return batch

    def _compute(self, batch: list[_Item]) -> None:
        started = time.perf_counter()
        cache, mask, logits = self._first_pass(batch)
        places = [(number, place) for number, item in enumerate(batch) for place in item.places]
        last = logits.shape[1] - 1
        found = _look_up(
            logits,
            {
                (number, place): [
                    (number, last - batch[number].shared + step, batch[number].pan.continuations[place][step])
                    for step in range(batch[number].shared + 1)
                ]
                for number, place in places
            },
        )
        tails = sorted((one for one in places if batch[one[0]].rest(one[1])), key=lambda one: -len(_rest(batch, one)))
        while tails:
            rows = self._rows(len(_rest(batch, tails[0])), mask.shape[1])
            for one, tokens in self._second_pass(batch, tails[:rows], cache, mask).items():
                found[one] = found[one].joined(tokens)
            del tails[:rows]
        seconds = (time.perf_counter() - started) / len(found)
        for (number, place), tokens in found.items():
            result = self._results[batch[number].pan.request.key]
            result.likelihoods[place] = Likelihood(tokens.logprob, tokens.count, tokens.greedy)
            result.seconds += seconds

    def _positions(self) -> int:
        """Tokens whose logits fit into memory at a time."""
        vocabulary = self.model.config.get_text_config(decoder=True).vocab_size
        return int(_LOGITS_BYTES.get(self.model.device.type, _LOGITS_BYTES["cpu"]) // (4 * vocabulary))

    def _rows(self, width: int, columns: int) -> int:
        """Continuations of `width` tokens that go through the model at a time."""
        memory = self.budget.tokens // (columns + width)
        return max(1, min(self.budget.rows, self._positions() // width, self.budget.prefill // width, memory))

    def _first_pass(self, batch: list[_Item]) -> tuple[Json, Tensor, Tensor]:
        """Keys and values of the prefixes, their mask, and the logits after the tokens that may predict something."""
        import torch
        from transformers import DynamicCache

        model, trunk = self.model, self._trunk(batch)
        ids, mask = self._padded([item.prefix[trunk:] for item in batch], left=True)
        needed = trunk > 0 or any(item.rest(place) for item in batch for place in item.places)
        cache: Json = DynamicCache(config=model.config) if needed else None
        if trunk:
            begin = torch.tensor([batch[0].prefix[:trunk]], device=ids.device)
            model(input_ids=begin, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.reorder_cache(torch.zeros(len(batch), dtype=torch.long, device=ids.device))
            mask = torch.cat([mask.new_ones(len(batch), trunk), mask], 1)
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, trunk:],
            past_key_values=cache,
            use_cache=needed,
            logits_to_keep=1 + max(item.shared for item in batch),
        )
        return cache, mask, output.logits

    def _trunk(self, batch: Sequence[_Item]) -> int:
        """How many tokens all contexts of a batch begin with, but for their last; 0 where sharing them gains nothing.

        Padding stands between this beginning and the rest, so layers that see a window only would see too little.
        """
        if len(batch) < 2 or not self._sees_everything:
            return 0
        contexts = [item.pan.context for item in batch]
        low, high = min(contexts), max(contexts)  # what the extremes have in common, all have
        most = min(map(len, contexts)) - 1
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
        return min(same, most) if min(same, most) >= _TRUNK else 0

    @cached_property
    def _sees_everything(self) -> bool:
        from evalkit.engines.kvcache import memory_for

        return memory_for(self.model).refillable

    def _second_pass(
        self, batch: list[_Item], tails: Sequence[_Place], cache: Json, prefix_mask: Tensor
    ) -> dict[_Place, _Tokens]:
        """Go on from the first pass with what each of `tails` has of its own."""
        import torch

        ids, mask = self._padded([_rest(batch, one) for one in tails], left=False)
        sources = torch.tensor([number for number, _ in tails], device=ids.device)
        before = prefix_mask[sources]
        output = self.model(
            input_ids=ids,
            attention_mask=torch.cat([before, mask], 1),
            position_ids=before.sum(1, keepdim=True) + torch.arange(ids.shape[1], device=ids.device),
            past_key_values=_selected(cache, sources),
            use_cache=True,
        )
        return _look_up(
            output.logits,
            {
                (number, place): [
                    (row, column, token)
                    for column, token in enumerate(batch[number].pan.continuations[place][batch[number].shared + 1 :])
                ]
                for row, (number, place) in enumerate(tails)
            },
        )

    def _padded(self, rows: Sequence[Sequence[int]], *, left: bool) -> tuple[Tensor, Tensor]:
        """Ids and mask of rows of one width; what stands in the padding is never looked at."""
        import torch

        width = max(map(len, rows))
        gaps = [width - len(row) for row in rows]
        ids = [
            [row[0]] * gap + list(row) if left else [*row, *[row[0]] * gap] for row, gap in zip(rows, gaps, strict=True)
        ]
        mask = [[0] * gap + [1] * (width - gap) if left else [1] * (width - gap) + [0] * gap for gap in gaps]
        return torch.tensor(ids, device=self.model.device), torch.tensor(mask, device=self.model.device)

    def _make_do(self, batch: list[_Item], items: list[_Item], error: Exception) -> list[Completion | Void]:
        """Put the batch back under half the budget; a prompt that fails alone is split, at last given up."""
        import torch

        torch.cuda.empty_cache()
        if len(batch) > 1:
            self.budget = self.budget.halved(sum(len(item.places) for item in batch))
            items[:0] = batch
            return []
        (item,) = batch
        half = len(item.places) // 2
        if half:
            items[:0] = [_item(item.pan, item.places[:half]), _item(item.pan, item.places[half:])]
            return []
        pan = item.pan
        items[:] = [other for other in items if other.pan is not pan]
        del self._results[pan.request.key]
        reason = f"out of memory with a single continuation in the batch: {str(error).splitlines()[0]}"
        return [Void(pan.request.key, reason, "engine")]

    def _complete(self, pan: Pan) -> bool:
        return len(self._results[pan.request.key].likelihoods) == len(pan.continuations)

    def _answer(self, pan: Pan) -> Completion:
        result = self._results.pop(pan.request.key)
        return pan.answer(result.likelihoods, result.seconds)


class _Tokens(Struct, frozen=True):
    """Some tokens of a continuation: the sum of their log-probabilities, and whether each is the most likely one."""

    logprob: float = 0.0
    count: int = 0
    greedy: bool = True

    def joined(self, after: _Tokens) -> _Tokens:
        return _Tokens(self.logprob + after.logprob, self.count + after.count, self.greedy and after.greedy)


def _look_up(logits: Tensor, wanted: dict[_Place, list[tuple[int, int, int]]]) -> dict[_Place, _Tokens]:
    """What `logits` (rows, columns, vocabulary) say of tokens: of each, the row and the column that predicts it."""
    import torch

    spots = {
        spot: number for number, spot in enumerate({(row, col) for all_ in wanted.values() for row, col, _ in all_})
    }
    rows, columns = zip(*spots, strict=True)
    seen = logits[list(rows), list(columns)].float()
    flat = [(spots[row, column], token) for tokens in wanted.values() for row, column, token in tokens]
    index, token = torch.tensor(flat, device=seen.device).T
    logprobs = (seen[index, token] - torch.logsumexp(seen, -1)[index]).tolist()
    likeliest = (seen.argmax(-1)[index] == token).tolist()
    found: dict[_Place, _Tokens] = {}
    begin = 0
    for place, tokens in wanted.items():
        end = begin + len(tokens)
        found[place] = _Tokens(sum(logprobs[begin:end]), len(tokens), all(likeliest[begin:end]))
        begin = end
    return found


def _rest(batch: list[_Item], place: _Place) -> tuple[int, ...]:
    return batch[place[0]].rest(place[1])


def _selected(cache: Json, rows: Tensor) -> Json:
    """A cache with these rows of another, which keeps its own."""
    made = copy.copy(cache)
    made.layers = [copy.copy(layer) for layer in cache.layers]
    made.reorder_cache(rows)
    return made


def _head(item: _Item) -> tuple[int, ...]:
    return item.pan.context[:_TRUNK]


def _arrange(items: list[_Item], *, together: bool) -> None:
    """The longest first; with `together`, before them those that begin alike, side by side."""
    heads = Counter(_head(item) for item in items)

    def order(item: _Item) -> tuple[bool, tuple[int, ...], int]:
        head = _head(item)
        alone = not together or heads[head] < 2 or len(head) < _TRUNK
        return alone, () if alone else head, -len(item.prefix)

    items.sort(key=order)


def _item(pan: Pan, places: Iterable[int]) -> _Item:
    kept = tuple(places)
    read = [pan.continuations[place][:-1] for place in kept]
    shared = 0
    while all(len(ids) > shared and ids[shared] == read[0][shared] for ids in read):
        shared += 1
    return _Item(pan, kept, shared)
