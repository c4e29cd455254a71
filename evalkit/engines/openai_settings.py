"""What a spec says of a model on a server, read and checked. No key is read here, only the name of its variable."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from evalkit.core.errors import SpecError
from evalkit.core.types import Json, Model
from evalkit.spec.servers import OPENAI_URL, address_problem, spelling, variable

OPENAI_VARIABLE = "OPENAI_API_KEY"

Omissible = Literal["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed"]
"""Parameters that a server may refuse. Without one of them it does what `WITHOUT` says."""
WITHOUT: dict[str, float] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}
_NOT_OPENAI: tuple[Omissible, ...] = ("top_k", "min_p", "repetition_penalty")
"""What OpenAI itself refuses. Other servers are sent these always: what they do without is not always nothing."""
_OURS = frozenset(get_args(Omissible)) | {
    "model", "messages", "prompt", "n", "stream", "stop", "max_tokens", "max_completion_tokens", "logprobs",
    "top_logprobs", "echo", "response_format", "tools", "best_of", "continue_final_message", "add_generation_prompt",
}  # fmt: skip


_SECRET_NAME = re.compile(
    r"(x[-_])?(api[-_]?key|authorization|bearer|auth|(access|auth|id)?[-_]?token|secret|password)", re.I
)
_SECRET_VALUE = re.compile(r"(sk|pk|rk)-\S{8,}|Bearer\s.*", re.I | re.S)


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """The `options` of such a model, as docs/servers.md has them."""

    concurrency: Annotated[int, Meta(ge=1, le=1024)] = 8
    timeout_s: Annotated[float, Meta(gt=0)] = 600.0
    max_retries: Annotated[int, Meta(ge=0, le=100)] = 5
    probe: bool = True
    logprobs: bool = False
    without: tuple[Omissible, ...] | None = None
    max_tokens_as: Literal["max_tokens", "max_completion_tokens"] | None = None
    answers_as: str | None = None
    prefill: Literal["whole", "rest", "continue_final_message"] | None = None
    weigh: Literal["echo"] | None = None
    body: dict[str, Json] = {}
    revision: str | int | float | None = None


class Settings(Struct, frozen=True):
    """One model on one server. `variable` holds the key, None where none is sent; `chat` is false for a model that is
    asked in plain text."""

    name: str
    base_url: str
    variable: str | None
    chat: bool
    options: Options

    @property
    def is_openai(self) -> bool:
        return self.base_url == OPENAI_URL

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.base_url).hostname or ""
        try:
            address = ip_address(host)
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")
        return address.is_loopback or address.is_unspecified

    @property
    def without(self) -> tuple[Omissible, ...]:
        """The parameters that are never sent."""
        if self.options.without is not None:
            return self.options.without
        return _NOT_OPENAI if self.is_openai else ()

    @property
    def max_tokens_as(self) -> str:
        """What the limit is called in a chat; plain completions know one name only."""
        return self.options.max_tokens_as or ("max_completion_tokens" if self.is_openai else "max_tokens")

    def sends(self, name: Omissible) -> bool:
        return name not in self.without


def settings_of(model: Model) -> Settings:
    """Raises SpecError for what cannot be meant. Nothing that may be a secret is quoted."""
    name, address = model.source.get("name"), model.source.get("base_url")
    if not name:
        raise SpecError(f"model '{model.name}' names no model on a server", hint="add name: gpt-4-0613")
    problem = address_problem(address) if address is not None else ""
    if problem:
        raise SpecError(f"model '{model.name}': {problem}", hint="for example http://127.0.0.1:8000/v1")
    if model.adapter is not None:
        hint = "load it on the server, and name what the server calls it"
        raise SpecError(f"model '{model.name}': a server is sent no adapter", hint=hint)
    base_url = spelling(address) if address is not None else OPENAI_URL
    return Settings(
        name=name,
        base_url=base_url,
        variable=_variable(model, base_url),
        chat=model.chat is not False,
        options=_options(model),
    )


def _variable(model: Model, base_url: str) -> str | None:
    key = model.source.get("key")
    if key is None:
        return OPENAI_VARIABLE if base_url == OPENAI_URL else None
    named = variable(key)
    if named is None:
        raise SpecError(
            f"model '{model.name}': `key` is not the name of a variable; a key itself may not stand in a spec",
            hint="export it, and write key: '${env:NAME}'",
        )
    return named


def _options(model: Model) -> Options:
    try:
        options = msgspec.convert(model.options, Options)
    except msgspec.ValidationError as error:
        known = ", ".join(Options.__struct_fields__)
        raise SpecError(f"model '{model.name}': wrong options: {error}", hint=f"known: {known}") from error
    ours = sorted(_OURS & set(options.body))
    if ours:
        raise SpecError(
            f"model '{model.name}': options.body may not set '{ours[0]}', which the policy or the engine decides",
            hint="body is for what evalkit does not know, such as {reasoning_effort: low}",
        )
    if _holds_secret(options.body):
        raise SpecError(
            f"model '{model.name}': options.body holds a key, and it would stand in the lock and the report",
            hint="export it, and write key: '${env:NAME}' beside `base_url`",
        )
    return options


def _holds_secret(value: Json) -> bool:
    """Whether something in a body is named, or looks, like a key."""
    if isinstance(value, dict):
        named = (name for name, one in value.items() if isinstance(one, str) and _SECRET_NAME.fullmatch(name))
        return any(named) or any(map(_holds_secret, value.values()))
    if isinstance(value, list):
        return any(map(_holds_secret, value))
    return isinstance(value, str) and _SECRET_VALUE.fullmatch(value) is not None
