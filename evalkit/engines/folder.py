"""What engines for a folder of weights share: prompts rendered and counted without the model library."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.digest import digest_text
from evalkit.core.errors import SpecError
from evalkit.core.ports import Rendered
from evalkit.core.types import Model, Prompt
from evalkit.engines import chat, weights


class FolderAdapter:
    """The part of an EngineAdapter that follows from the files of a model alone."""

    isolated = True
    recorded = False
    remote = False

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        made_of = weights.describe(model)
        if made_of.folder is None:
            return None
        return chat.count_tokens(made_of.folder, prompts, chats(model, made_of))

    def rendered(self, model: Model, prompt: Prompt) -> Rendered | None:
        """By the tokenizer's own files; None before an embedded model was converted."""
        made_of = weights.describe(model)
        if made_of.folder is None:
            return None
        asks_chat = chats(model, made_of)
        counted = chat.count_tokens(made_of.folder, [prompt], asks_chat)
        template = chat.template_text(made_of.folder) if asks_chat and prompt.text is None else None
        return Rendered(
            text=chat.rendered(made_of.folder, prompt, asks_chat),
            tokens=counted[0] if counted is not None else None,
            template_sha256=None if template is None else digest_text(template),
        )

    def check_weighing(self, model: Model) -> None:
        """Every model that is loaded here can."""


def chats(model: Model, made_of: weights.Weights) -> bool:
    """Whether the model is asked in chat form. Raises SpecError where it has no template and is said to chat."""
    if model.chat and not made_of.has_template:
        raise SpecError(f"model '{model.name}' has no chat template", hint="leave `chat` out, or add a template")
    return made_of.has_template and model.chat is not False
