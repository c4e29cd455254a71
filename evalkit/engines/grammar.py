"""Answers that are made to obey a JSON Schema: tokens that would break it are never chosen. The work is xgrammar's.

The JSON is written in one form: `", "` between members, `": "` after a key, no line breaks and no other white space
outside of strings. A grammar that allows any white space lets a small model write blanks until `max_tokens`. Members
come in the order of the schema's `properties`, and an object has no further ones unless the schema says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from evalkit.core.errors import ContractError, PrerequisiteError, SpecError
from evalkit.core.types import Json

if TYPE_CHECKING:
    from torch import Tensor

GRAMMAR_VERSION = "1"
"""Raise it when the form of the JSON changes: what is stored of the old is then not taken for the new one's."""
_SOURCE_PLACE = re.compile(r"^\[[\d:]+\] \S+: ")


class Grammars:
    """The grammars of one model, each made once. Nothing of xgrammar is loaded before the first."""

    def __init__(self, tokenizer: Json, model: Json, stop_ids: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self._stop_ids = sorted(stop_ids)
        self._compiler: Json = None
        self._made: dict[str, Grammar] = {}

    def of(self, schema: str) -> Grammar:
        """The grammar of a schema, given as its text. Raises SpecError where xgrammar makes none of it."""
        if schema not in self._made:
            self._made[schema] = Grammar(schema, self._compile(schema))
        return self._made[schema]

    def _compile(self, schema: str) -> Json:
        compiler = self._ready()
        try:
            return compiler.compile_json_schema(schema, any_whitespace=False, strict_mode=True)
        except (RuntimeError, ValueError) as error:
            reason = _SOURCE_PLACE.sub("", str(error).strip()).rstrip(".")
            raise SpecError(
                f"xgrammar makes no grammar of the `format` {schema:.120}: {reason:.200}",
                hint="simplify the schema: docs/tasks.md says what a format may hold",
            ) from error

    def _ready(self) -> Json:
        if self._compiler is None:
            import torch

            try:
                import xgrammar
            except ImportError as error:
                raise PrerequisiteError(
                    f"the package xgrammar cannot be used: {error}", hint="pip install 'evalkit-spec[structured]'"
                ) from error
            if not self._stop_ids:
                raise SpecError("a model without a token that ends an answer cannot obey a `format`")
            vocabulary = self._model.get_output_embeddings().weight.shape[0]
            known = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=vocabulary, stop_token_ids=self._stop_ids
            )
            self._compiler = xgrammar.GrammarCompiler(known, max_threads=torch.get_num_threads())
        return self._compiler


class Grammar:
    """One schema at work: it begins answers, and masks what would lead them out of the schema."""

    def __init__(self, schema: str, compiled: Json) -> None:
        self.schema = schema
        self._compiled = compiled

    def begin(self) -> Place:
        """The place of a new answer in the grammar."""
        import xgrammar

        return Place(xgrammar.GrammarMatcher(self._compiled))

    def masked(self, logits: Tensor, places: Sequence[Place | None]) -> Tensor:
        """The logits (rows, vocabulary), minus infinity for every token that the row's place does not allow.

        A row without a place is free. `logits` stay as they are.
        """
        import xgrammar

        bits = xgrammar.allocate_token_bitmask(len(places), logits.shape[-1])
        for row, place in enumerate(places):
            if place is not None:
                place.allow(bits, row)
        scores = logits.clone()
        on_cpu = logits.device.type == "cpu"
        xgrammar.apply_token_bitmask_inplace(
            scores, bits.to(logits.device), backend="cpu" if on_cpu else "torch_native"
        )
        return scores


class Place:
    """Where one answer stands in its grammar."""

    def __init__(self, matcher: Json) -> None:
        self._matcher = matcher

    def allow(self, bits: Tensor, row: int) -> None:
        """Write into a row of the bit mask which tokens may come next."""
        self._matcher.fill_next_token_bitmask(bits, row)

    def accept(self, token: int) -> None:
        """Go on by one token. Raises ContractError for one that `allow` did not allow."""
        if not self._matcher.accept_token(token):
            raise ContractError(
                f"the token {token} was drawn and the format does not allow it",
                hint="the tokenizer has no way to write what the schema asks for; simplify the schema",
            )
