"""Text to token ids and back, with a transformers tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.types import Json, Prompt
from evalkit.engines.batching import Group
from evalkit.engines.chat import plain_text, with_template

_TOKENS_BEFORE = 4
"""Tokens of the prompt decoded with a continuation, so that a leading space is not lost."""


class TokenizerCodec:
    """See the module. `stop_ids` are all tokens that end an answer of this model."""

    def __init__(self, tokenizer: Json, model: Json) -> None:
        self.tokenizer = tokenizer
        configured = getattr(model.generation_config, "eos_token_id", None) or model.config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        self.stop_ids = frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)

    def encode(self, prompt: Prompt, chat: bool) -> tuple[str, tuple[int, ...]]:
        """The rendered prompt and its ids. The template writes its own special tokens, so none are added to it."""
        text = self._render(prompt, chat)
        ids = self._ids(text, special=not _templated(prompt, chat))
        return text, ids or (self._first(),)

    def encode_pairs(
        self, prompt: Prompt, continuations: Sequence[str], chat: bool
    ) -> tuple[str, tuple[int, ...], list[tuple[int, ...]]]:
        """The rendered prompt, its ids, and those of each continuation.

        A continuation is what its text adds to the ids of the prompt when both are encoded as one; white space that
        ends the prompt is the continuation's, since tokens begin with their space. These are the rules of lm-eval's
        `_encode_pair`, those on special tokens too: the tokenizer's own, and none where the text begins with one.
        """
        text = self._render(prompt, chat)
        if not text:
            return text, (self._first(),), [self._after_nothing(one) for one in continuations]
        special = not _templated(prompt, chat) and not text.startswith(self._first_text())
        stem = text.rstrip() or text
        context = self._ids(stem, special=special) or (self._first(),)
        whole = [self._ids(text + one, special=special) for one in continuations]
        return text, context, [ids[len(context) :] for ids in whole]

    def _render(self, prompt: Prompt, chat: bool) -> str:
        if not _templated(prompt, chat):
            return plain_text(prompt)
        return with_template(self._template, prompt.messages)

    def _ids(self, text: str, *, special: bool) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=special)["input_ids"])

    def text(self, group: Group, ids: Sequence[int]) -> str:
        """What the model wrote, special tokens left out."""
        prompt = group.requests[0].prompt
        before = group.ids[-_TOKENS_BEFORE:] if prompt.text is not None or prompt.prefill else ()
        head, whole = self._decode(before), self._decode([*before, *ids])
        return whole[len(head) :] if whole.startswith(head) else self._decode(ids)

    def stops_within(self, group: Group, ids: Sequence[int], stop: Sequence[str]) -> str | None:
        """See `sampler.Codec`. A stop string of n bytes lies within the last n tokens: only those are decoded."""
        window = max(len(string.encode()) for string in stop) + _TOKENS_BEFORE
        tail = self._decode(ids[-window:])
        if not any(string in tail for string in stop):
            return None
        text = self.text(group, ids)
        found = [place for place in (text.find(string) for string in stop) if place >= 0]
        return text[: min(found)] if found else None

    def _template(self, messages: list[dict[str, str]], answer: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer)
        return text

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _after_nothing(self, continuation: str) -> tuple[int, ...]:
        ids = self._ids(continuation, special=False)
        return ids[1:] if ids[:1] == (self._first(),) else ids

    def _first_text(self) -> str:
        text: str = self.tokenizer.decode([self._first()])
        return text

    def _first(self) -> int:
        """What stands for an empty prompt: a model needs one token to go on from."""
        first = self.tokenizer.bos_token_id
        return int(first if first is not None else min(self.stop_ids, default=0))


def _templated(prompt: Prompt, chat: bool) -> bool:
    return chat and prompt.text is None
