"""A reply of a server as a completion, or why it is none. A server that did something else than it was asked is an
error, for it does the same with every item."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta, Struct

from evalkit.core.digest import digest
from evalkit.core.errors import ContractError
from evalkit.core.types import Completion, FinishReason, Json, Request
from evalkit.engines.openai_body import Call, effective_of
from evalkit.engines.openai_faults import Fault, Words, ignores
from evalkit.engines.openai_line import Reply
from evalkit.engines.openai_settings import Settings

_SNAPSHOT = re.compile(r"-(\d{4}-\d\d-\d\d|\d{8}|\d{4})")
"""What a vendor adds to the name that was asked for: the day of the model behind it."""
_QUOTED = 120
_HOLDS_KEY = Fault("the server's answer holds the key that it was sent; it is not kept")


class TokenLogprob(Struct, frozen=True):
    """One token of a chat's answer."""

    logprob: float | None = None


class Logprobs(Struct, frozen=True):
    """Log-probabilities as a chat has them (`content`), or as plain completions have them."""

    content: list[TokenLogprob] | None = None
    token_logprobs: list[float | None] | None = None
    tokens: list[str] | None = None
    text_offset: list[int] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class AnswerMessage(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Json] | None = None
    function_call: Json = None


class AnswerChoice(Struct, frozen=True):
    message: AnswerMessage | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Usage(Struct, frozen=True):
    prompt_tokens: Annotated[int, Meta(ge=0)] | None = None
    completion_tokens: Annotated[int, Meta(ge=0)] | None = None


class ReplyBody(Struct, frozen=True):
    choices: list[AnswerChoice] | None = None
    model: str | None = None
    usage: Usage | None = None
    system_fingerprint: str | None = None
    error: Json = None


class Reader:
    """Reads the replies of one server, and holds it to what it was asked."""

    def __init__(self, settings: Settings, words: Words) -> None:
        self._settings = settings
        self._words = words
        self._answers_as: str | None = None
        self.fingerprints: list[str] = []
        """What the server said of its own set-up, in the order of first sight."""

    def only_choice(self, reply: Reply) -> tuple[ReplyBody, AnswerChoice] | Fault:
        """The one choice of a sound reply by the right model."""
        said = reply.content.decode("utf-8", "replace")
        if self._words.hold_key(said):
            return _HOLDS_KEY
        try:
            plain = json.dumps(msgspec.json.decode(reply.content), ensure_ascii=False)
            if self._words.hold_key(plain):  # written with escapes, the bytes did not show it
                return _HOLDS_KEY
            body = msgspec.json.decode(reply.content, type=ReplyBody)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return Fault(f"the server's answer cannot be read ({error}): {self._words.told(said[:_QUOTED])}")
        if body.error is not None:
            return Fault(f"the server answered with an error: {self._words.told(json.dumps(body.error))}")
        self._check_model(body)
        if not body.choices:
            return Fault("the server gave no choice at all")
        if len(body.choices) > 1:
            seen = f"one answer was asked for, {len(body.choices)} came back"
            raise ignores(self._settings, "`n`", seen, "use another server: it cannot be told what it answers")
        return body, body.choices[0]

    def read(self, request: Request, call: Call, reply: Reply) -> Completion | Fault:
        """A reply as what was asked for. Raises ContractError for a server that goes its own way."""
        found = self.only_choice(reply)
        if isinstance(found, Fault):
            return found
        body, choice = found
        text = _text(choice)
        if isinstance(text, Fault):
            return text
        usage = body.usage or Usage()
        finish_reason = self._finish(request, choice, usage)
        if isinstance(finish_reason, Fault):
            return finish_reason
        text = self._continued(request, call, text)
        refused = choice.message is not None and bool(choice.message.refusal)
        self._check(request, text, finish_reason if not refused else "length")
        return Completion(
            key=request.key,
            text=text,
            finish_reason=finish_reason,
            effective=effective_of(self._settings, request, msgspec.json.decode(reply.sent)),
            prompt_sha256=digest(request.prompt),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            seconds=reply.seconds,
            mean_logprob=self._mean_logprob(choice) if self._settings.options.logprobs else None,
        )

    def _check_model(self, body: ReplyBody) -> None:
        expected, named = self._settings.options.answers_as or self._settings.name, body.model
        if body.system_fingerprint and body.system_fingerprint not in self.fingerprints:
            self.fingerprints.append(body.system_fingerprint)
        if named is None:
            return
        dated = named.startswith(expected) and _SNAPSHOT.fullmatch(named[len(expected) :])
        if named != expected and not dated:
            raise ContractError(
                f"'{expected}' was asked, and '{self._words.told(named)}' answered",
                hint="name the model as the server does (GET /models lists them), or say what it calls itself: "
                "options: {answers_as: ...}",
            )
        if self._answers_as not in (None, named):
            raise ContractError(
                f"the model behind '{expected}' changed while it was asked: first '{self._answers_as}', now '{named}'",
                hint=f"name the one that is meant: name: {named}",
            )
        self._answers_as = named

    def _finish(self, request: Request, choice: AnswerChoice, usage: Usage) -> FinishReason | Fault:
        used, limit = usage.completion_tokens, request.sampling.max_tokens
        if used is not None and used > 2 * limit + 16:  # far beyond what another way of counting tokens explains
            seen = f"{limit} tokens were allowed, {used} came back"
            raise ignores(self._settings, "`max_tokens`", seen, "options: {max_tokens_as: ...} is its other name")
        if choice.finish_reason == "stop":
            return "stop"
        if choice.finish_reason == "length":
            if used is not None and used < limit:
                return Fault(f"the server ended the answer after {used} of {limit} tokens", of_item=True)
            return "length"
        if choice.finish_reason == "content_filter":
            return Fault("a content filter of the server ended the answer", of_item=True)
        return Fault(f"the answer ended for an unknown reason: {self._words.told(str(choice.finish_reason))}")

    def _continued(self, request: Request, call: Call, text: str) -> str:
        """The answer without the beginning that the task gave, where the server repeats that."""
        begun = request.prompt.prefill
        if call.path == "completions" or not begun or self._settings.options.prefill != "whole":
            return text
        if not text.startswith(begun):
            seen = f"the answer was to begin with {begun!r:.60}, and begins with {text[:60]!r}"
            raise ignores(self._settings, "the beginning of the answer", seen, "see options.prefill in docs/servers.md")
        return text[len(begun) :]

    def _check(self, request: Request, text: str, finish_reason: FinishReason) -> None:
        stop = next((stop for stop in request.sampling.stop if stop in text), None)
        if stop is not None:
            hint = "declare no stop texts for this server"
            raise ignores(self._settings, "`stop`", f"the answer goes on after {stop!r:.60}", hint)
        if request.sampling.json_schema is not None and finish_reason == "stop":
            self._check_format(request.sampling.json_schema, text)

    def _check_format(self, schema: str, text: str) -> None:
        from jsonschema.exceptions import ValidationError
        from jsonschema.validators import Draft202012Validator, validator_for

        known = json.loads(schema)
        try:
            validator_for(known, default=Draft202012Validator)(known).validate(json.loads(text))
        except ValidationError as error:
            self._broke_format(f"{error.message:.{_QUOTED}}")
        except ValueError as error:
            self._broke_format(f"it is no JSON ({error})")

    def _broke_format(self, why: str) -> NoReturn:
        hint = "leave what it does not enforce out of the format and check it in the score: {json_schema: ...}"
        raise ignores(self._settings, "the `format`, or a part of it", f"an answer breaks it: {why}", hint)

    def _mean_logprob(self, choice: AnswerChoice) -> float | None:
        told = choice.logprobs or Logprobs()
        listed = [token.logprob for token in told.content] if told.content is not None else told.token_logprobs
        if listed is None:
            hint = "take options.logprobs away: this server does not offer them"
            raise ignores(self._settings, "`logprobs`", "an answer came without them", hint)
        known = [logprob for logprob in listed if logprob is not None]
        return math.fsum(known) / len(known) if known else None


def _text(choice: AnswerChoice) -> str | Fault:
    """What the model wrote; a refusal is an answer too. Cut off before the first word, it wrote nothing."""
    message = choice.message
    if message is None:
        return choice.text if choice.text is not None else Fault("the choice has neither message nor text")
    if message.tool_calls or message.function_call:
        return Fault("the server answered with a call of a tool, and none was offered")
    if message.content:
        return message.content
    if message.refusal:
        return message.refusal
    if message.content is not None or choice.finish_reason in ("length", "content_filter"):
        return ""
    return Fault("the answer has no text")
