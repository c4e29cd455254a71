"""Prompts rendered and counted in the parent process: chat template and tokenizer without the model library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from evalkit.core.errors import SpecError
from evalkit.core.types import Json, Message, Prompt

Template = Callable[[list[dict[str, str]], bool], str]
"""Messages, and whether the header of an answer follows them → text."""

_HERE = "EVALKIT_GOES_ON_HERE "
"""Marks where a begun answer ends. Its last space shows whether a template trims what a message holds."""


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


def with_template(template: Template, messages: Sequence[Message]) -> str:
    """A chat as text, ready for the answer. One that ends with the assistant's words is left open for the model to go
    on: no header of another answer, and nothing of what the template writes after a message.

    The same text as transformers' `continue_final_message`. Raises SpecError for a template that drops such an end.
    """
    given: list[dict[str, str]] = msgspec.to_builtins(messages)
    if not messages or messages[-1].role != "assistant":
        return template(given, True)
    begun = messages[-1].content
    given[-1]["content"] = begun + _HERE
    text = template(given, False)
    mark = _HERE.strip()
    if mark not in text or begun.strip() not in text:
        raise SpecError("the model's chat template shows no begun answer", hint="take `prefill` out of the task")
    place = text.rindex(mark)
    whole = text[place : place + len(_HERE)] == _HERE
    return text[:place] if whole else text[:place].rstrip()


def rendered(folder: Path, prompt: Prompt, chat: bool) -> str:
    """The prompt as the model in `folder` gets it, special tokens of its chat template included.

    Raises jinja2.TemplateError where the template cannot be rendered.
    """
    if not chat or prompt.text is not None:
        return plain_text(prompt)
    return with_template(_template(folder), prompt.messages)


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

    def count(prompt: Prompt, template: Template | None) -> int:
        if template is not None and prompt.text is None:
            return len(tokenizer.encode(with_template(template, prompt.messages), add_special_tokens=False).ids)
        return len(tokenizer.encode(plain_text(prompt), add_special_tokens=True).ids)

    try:
        template = _template(folder) if chat else None
        return [count(prompt, template) for prompt in prompts]
    except TemplateError:
        return None


def _template(folder: Path) -> Template:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    config = _config(folder)
    special = {name: _token(config.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    template = environment.from_string(template_text(folder) or "")
    return lambda messages, answer: template.render(messages=messages, add_generation_prompt=answer, **special)


def _token(value: Json) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else value or ""


def _config(folder: Path) -> dict[str, Json]:
    try:
        return msgspec.json.decode((folder / "tokenizer_config.json").read_bytes(), type=dict[str, Json])
    except (OSError, msgspec.DecodeError):
        return {}
