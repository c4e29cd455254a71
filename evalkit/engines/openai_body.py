"""A request as the body that a server is sent, and what a body that was sent says of the sampling.

Every parameter that can change the answer is sent, also where it is off: servers have defaults of their own (llama.cpp
keeps 40 tokens and cuts at a min-p of 0.05, vLLM takes what the model's generation_config.json says).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.errors import SpecError
from evalkit.core.keys import decisive
from evalkit.core.types import Json, Message, Prompt, Request, SamplingParams
from evalkit.engines.chat import plain_text
from evalkit.engines.openai_settings import WITHOUT, Omissible, Settings

_SEED_BITS = 31
"""What every server takes: some have unsigned numbers of 32 bits, and one of those means "choose one"."""
_FILTERS: tuple[Omissible, ...] = ("top_p", "top_k", "min_p")
FORMAT_NAME = "answer"


class Call(Struct, frozen=True):
    """One request over the wire: to which end point, and its whole body."""

    path: Literal["chat", "completions"]
    body: dict[str, Json]


def call_of(settings: Settings, request: Request) -> Call:
    """The call that asks for one answer.

    Raises SpecError where the server would use another parameter than the declared one, and for what is never sent.
    """
    chat = settings.chat and request.prompt.text is None
    body: dict[str, Json] = {"model": settings.name, **_asked(settings, request.prompt, chat)}
    body |= _sampling(settings, request, chat)
    body |= settings.options.body
    declared, effective = decisive(request.sampling), decisive(effective_of(settings, request, body))
    for name in declared.__struct_fields__:
        if getattr(declared, name) != getattr(effective, name):
            raise _not_sent(settings, name, getattr(declared, name))
    return Call("chat" if chat else "completions", body)


def _asked(settings: Settings, prompt: Prompt, chat: bool) -> dict[str, Json]:
    if not chat:
        return {"prompt": plain_text(prompt)}
    asked: dict[str, Json] = {"messages": _messages(prompt.messages)}
    if prompt.prefill:
        if settings.options.prefill is None:
            raise SpecError(
                "the task begins the answer (`prefill`), and servers differ in what they make of that",
                hint="say what this one does: options: {prefill: whole | rest | continue_final_message} "
                "(docs/servers.md), or take `prefill` out of the task",
            )
        if settings.options.prefill == "continue_final_message":
            asked |= {"continue_final_message": True, "add_generation_prompt": False}
    return asked


def _messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _sampling(settings: Settings, request: Request, chat: bool) -> dict[str, Json]:
    sampling = request.sampling
    body: dict[str, Json] = {settings.max_tokens_as if chat else "max_tokens": sampling.max_tokens}
    names: tuple[Omissible, ...] = ("temperature", "repetition_penalty")
    for name in names if sampling.greedy else (*names, *_FILTERS):
        if settings.sends(name):
            body[name] = getattr(sampling, name)
    if not sampling.greedy and settings.sends("seed"):
        body["seed"] = seed_of(request)
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if settings.options.logprobs:
        body |= {"logprobs": True} if chat else {"logprobs": 1}
    if sampling.json_schema is not None:
        body["response_format"] = response_format(sampling.json_schema)
    return body


def response_format(schema: str) -> dict[str, Json]:
    """A schema, given as its text, in the form of OpenAI's structured outputs."""
    return {
        "type": "json_schema",
        "json_schema": {"name": FORMAT_NAME, "strict": True, "schema": json.loads(schema)},
    }


def seed_of(request: Request) -> int:
    """The seed of one answer: of the prompt, the declared seed and the answer's index, so that each can be drawn again
    alone and no two prompts share their numbers."""
    parts = [digest(request.prompt), request.sampling.seed, request.index]
    return int(digest(parts)[:16], 16) & ((1 << _SEED_BITS) - 1)


def effective_of(settings: Settings, request: Request, body: dict[str, Json]) -> SamplingParams:
    """The sampling parameters that a body states, as a server that honours it would use them.

    Of a parameter that is not sent it is the default of OpenAI's interface. The seed is told as declared where the one
    that follows from it was sent, and where none is sent by the model's own options, which the lock tells.
    """
    declared = request.sampling
    temperature = float(body.get("temperature", WITHOUT["temperature"]))
    seeded = temperature == 0.0 or not settings.sends("seed") or body.get("seed") == seed_of(request)
    limit = body.get("max_tokens", body.get("max_completion_tokens"))
    sent = body.get("response_format")
    same = sent is not None and declared.json_schema is not None and sent == response_format(declared.json_schema)
    return SamplingParams(
        temperature=temperature,
        top_p=float(body.get("top_p", WITHOUT["top_p"])),
        top_k=int(body.get("top_k", WITHOUT["top_k"])),
        min_p=float(body.get("min_p", WITHOUT["min_p"])),
        repetition_penalty=float(body.get("repetition_penalty", WITHOUT["repetition_penalty"])),
        max_tokens=int(limit) if limit is not None else 0,
        stop=tuple(body.get("stop", ())),
        seed=declared.seed if seeded else -1,
        json_schema=declared.json_schema if same else None if sent is None else json.dumps(sent),
    )


def _not_sent(settings: Settings, name: str, declared: object) -> SpecError:
    default = WITHOUT.get(name)
    if settings.options.without is None and settings.is_openai:
        return SpecError(
            f"{name}: {declared!r} is declared, and OpenAI's own server knows no such parameter",
            hint=f"leave {name} at {default}, or use a server that has it",
        )
    return SpecError(
        f"{name}: {declared!r} is declared, and options.without keeps it from being sent",
        hint=f"declare {name}: {default}, which is what the server does without it",
    )
