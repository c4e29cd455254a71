"""How many tokens a model is asked."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core import registry
from evalkit.core.types import Model, Prompt

_ROUGH_CHARACTERS_A_TOKEN = 4


def prompt_tokens(model: Model, prompts: Sequence[Prompt]) -> tuple[int, bool]:
    """Tokens of all prompts, and whether they were counted by the model's own tokenizer or only estimated."""
    if not prompts:
        return 0, True
    counted = registry.load("engines", model.engine).count_tokens(model, prompts)
    if counted is not None:
        return sum(counted), True
    characters = sum(len(prompt.text or "") + sum(len(turn.content) for turn in prompt.messages) for prompt in prompts)
    return -(-characters // _ROUGH_CHARACTERS_A_TOKEN), False
