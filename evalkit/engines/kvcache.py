"""Key-value memory of a running batch. Imports transformers: for the worker only.

`SlotMemory` keeps every layer's keys and values in one buffer with a row for each answer. A step writes one column
in place, where the stock cache copies everything; and a row whose answer is finished is given to a new prompt while
the others go on. It serves models in which every layer attends to everything. `StockMemory` wraps transformers' own
cache for all others (sliding windows, hybrids), where a batch is filled once and only shrinks.

Columns are aligned to the right: all rows write column `end`, a row's prompt ends where it joined.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from evalkit.core.types import Json

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 128
"""Columns added at a time when the buffers are full."""
_NOWHERE = sys.maxsize
"""Where a row begins that needs no column any more."""


class Memory(Protocol):
    """What the sampler asks of a key-value memory. Rows are numbered from 0 without gaps."""

    refillable: bool
    cache: Json

    def insert(self, prefilled: Json, mask: Tensor, slots: Sequence[int], sources: Sequence[int]) -> None:
        """Row `slots[i]` continues prompt `sources[i]` of a prefill (`mask`: prompts by columns, left padded)."""
        ...

    def step_mask(self) -> Tensor:
        """The attention mask of the next step, (rows, columns), its own column included."""
        ...

    def advance(self) -> None:
        """A step has written its column."""
        ...

    def release(self, row: int) -> None:
        """This row's answer is finished: nothing it needs has to be kept, though it stays until `keep` or `insert`."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order."""
        ...

    @property
    def columns(self) -> int: ...


def memory_for(model: Json) -> Memory:
    """The memory that suits the model's layers."""
    layers = DynamicCache(config=model.config).layers
    plain = bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
    return SlotMemory(len(layers)) if plain else StockMemory()


class _SlotLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's buffers (rows, heads, capacity, width); where to write is known to the memory that owns it."""

    def __init__(self, owner: SlotMemory) -> None:
        super().__init__()
        self.owner = owner

    def update(self, key_states: Tensor, value_states: Tensor, *_: Json, **__: Json) -> tuple[Tensor, Tensor]:
        start, end = self.owner.start, self.owner.end
        self.keys[:, :, end : end + 1] = key_states
        self.values[:, :, end : end + 1] = value_states
        return self.keys[:, :, start : end + 1], self.values[:, :, start : end + 1]

    def get_seq_length(self) -> int:
        return self.owner.end - self.owner.start


class SlotMemory:
    """See the module. `start` is the first column that a row in use still needs, `end` the next to be written."""

    refillable = True

    def __init__(self, layers: int) -> None:
        self.start = self.end = 0
        self.cache = Cache(layers=[_SlotLayer(self) for _ in range(layers)])
        self._mask = torch.zeros(0, 0, dtype=torch.bool)
        self._begin: list[int] = []

    @property
    def columns(self) -> int:
        return self.end - self.start

    def insert(self, prefilled: Json, mask: Tensor, slots: Sequence[int], sources: Sequence[int]) -> None:
        width = mask.shape[1]
        if not self._begin:
            self.start, self.end = 0, width
        self._fit(prefilled, mask, max(len(self._begin), max(slots) + 1))
        rows, prompts = torch.tensor(slots, device=mask.device), torch.tensor(sources, device=mask.device)
        left = self.end - width
        self._mask[rows] = False
        self._mask[rows, left : self.end] = mask[prompts].bool()
        for layer, source in zip(self.cache.layers, prefilled.layers, strict=True):
            layer.keys[rows, :, left : self.end] = source.keys[prompts]
            layer.values[rows, :, left : self.end] = source.values[prompts]
        lengths = mask.sum(1).tolist()
        for slot, prompt in zip(slots, sources, strict=True):
            self._begin[slot] = self.end - lengths[prompt]
        self._slide()

    def step_mask(self) -> Tensor:
        if self.end == self._mask.shape[1]:
            self._resize(len(self._begin), self.columns + _CHUNK)
        self._mask[:, self.end] = True
        return self._mask[:, self.start : self.end + 1]

    def advance(self) -> None:
        self.end += 1

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self._mask.device)
        self._mask = self._mask[index]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[index], layer.values[index]
        self._begin = [self._begin[row] for row in rows]
        self._slide()

    def release(self, row: int) -> None:
        self._begin[row] = _NOWHERE
        self._slide()

    def _slide(self) -> None:
        self.start = min([self.end, *self._begin])

    def _fit(self, prefilled: Json, mask: Tensor, rows: int) -> None:
        """Make the buffers at least `rows` high, and wide enough for what is there and a chunk more."""
        if not self._begin:
            for layer, source in zip(self.cache.layers, prefilled.layers, strict=True):
                layer.keys, layer.values = source.keys[:0], source.values[:0]
                layer.is_initialized = True
            self._mask = mask[:0].bool()
        if rows > len(self._begin):
            self._resize(rows, self.columns + _CHUNK)
            self._begin += [_NOWHERE] * (rows - len(self._begin))

    def _resize(self, rows: int, capacity: int) -> None:
        """Move everything into new buffers whose first column is `start`."""
        before, width = len(self._begin), self.columns
        for layer in self.cache.layers:
            layer.keys = _moved(layer.keys, before, rows, self.start, width, capacity)
            layer.values = _moved(layer.values, before, rows, self.start, width, capacity)
        mask = self._mask.new_zeros(rows, capacity)
        mask[:before, :width] = self._mask[:before, self.start : self.end]
        self._mask = mask
        self._begin = [begin if begin == _NOWHERE else begin - self.start for begin in self._begin]
        self.start, self.end = 0, width


def _moved(old: Tensor, before: int, rows: int, start: int, width: int, capacity: int) -> Tensor:
    new = old.new_zeros(rows, old.shape[1], capacity, old.shape[3])
    if before:
        new[:before, :, :width] = old[:before, :, start : start + width]
    return new


class StockMemory:
    """transformers' own cache: filled once, then only fewer rows."""

    refillable = False

    def __init__(self) -> None:
        self.cache: Json = None
        self._mask = torch.zeros(0, 0, dtype=torch.bool)

    @property
    def columns(self) -> int:
        return int(self._mask.shape[1])

    def insert(self, prefilled: Json, mask: Tensor, slots: Sequence[int], sources: Sequence[int]) -> None:
        if list(slots) != list(range(len(slots))):
            raise ValueError("this memory is filled once, from row 0")
        index = torch.tensor(sources, device=mask.device)
        prefilled.reorder_cache(index)
        self.cache, self._mask = prefilled, mask[index].bool()

    def step_mask(self) -> Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], 1)
        return self._mask

    def advance(self) -> None:
        """The cache counts its columns itself."""

    def release(self, row: int) -> None:
        """Columns are never given back before the batch ends."""

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self._mask.device)
        self._mask = self._mask[index]
        if rows:
            self.cache.reorder_cache(index)
