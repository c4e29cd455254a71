"""Prompts counted in the parent process: chat template and tokenizer without the model library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from evalkit.core.types import Json, Message, Prompt

Render = Callable[[Sequence[Message]], str]


def template_text(folder: Path) -> str | None:
    """The chat template of a model folder (`chat_template.jinja`, else in `tokenizer_config.json`), or None."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = _config(folder).get("chat_template")
    if isinstance(found, list):  # named templates; transformers takes `default` too
        found = next((entry["template"] for entry in found if entry.get("name") == "default"), None)
    return found if isinstance(found, str) else None


def plain_text(prompt: Prompt) -> str:
    """The prompt for a model that is not asked in chat form: a bare text, or the messages a blank line apart."""
    return prompt.text if prompt.text is not None else "\n\n".join(message.content for message in prompt.messages)


def count_tokens(folder: Path, prompts: Sequence[Prompt], chat: bool) -> list[int] | None:
    """Tokens of each prompt as the model in `folder` sees it, or None where folder or template cannot say."""
    from jinja2 import TemplateError

    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    file = folder / "tokenizer.json"
    if not file.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(file))

    def count(prompt: Prompt, render: Render | None) -> int:
        if render is not None and prompt.text is None:
            return len(tokenizer.encode(render(prompt.messages), add_special_tokens=False).ids)
        return len(tokenizer.encode(plain_text(prompt), add_special_tokens=True).ids)

    try:
        render = _renderer(folder) if chat else None
        return [count(prompt, render) for prompt in prompts]
    except TemplateError:
        return None


def _renderer(folder: Path) -> Render:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    config = _config(folder)
    special = {name: _token(config.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    template = environment.from_string(template_text(folder) or "")
    return lambda messages: template.render(
        messages=msgspec.to_builtins(messages), add_generation_prompt=True, **special
    )


def _token(value: Json) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else value or ""


def _config(folder: Path) -> dict[str, Json]:
    try:
        return msgspec.json.decode((folder / "tokenizer_config.json").read_bytes(), type=dict[str, Json])
    except (OSError, msgspec.DecodeError):
        return {}
