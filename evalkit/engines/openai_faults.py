"""What it means that a server did not answer: one item's bad luck, or the end of the run.

What is wrong with one item (a prompt too long, a filter) is void alone. What is wrong with the server once is void and
counted, and ten in a row with no answer between them stop the run. A key that is refused, a model that is unknown, a
parameter that the server does not take stop it at once: no other item would fare better.
"""

from __future__ import annotations

import base64
import re
from typing import NoReturn

from msgspec import Struct

from evalkit.core.errors import ContractError, EvalkitError, PrerequisiteError
from evalkit.engines.openai_line import Failure
from evalkit.engines.openai_settings import Settings

_SHOWN = 300
_SECRET_LENGTH = 8
"""A shorter key is a word that a server was made to want, such as EMPTY: to hide it would blot out answers."""
_IN_A_ROW = 10
_CONTEXT = re.compile(
    r"context.?length|context.?size|context.?window|maximum context|too many tokens|token count|"
    r"(prompt|input) is too long",
    re.I,
)
_FILTER = re.compile(r"content.?filter|content.?policy|content management|moderation|flagged|safety", re.I)
_PARAMETER = re.compile(
    r"unsupported (parameter|value)|unrecognized request argument|unknown (name|parameter|field)|unexpected keyword|"
    r"extra (inputs|fields)|does not support|not supported|response_format|json.?schema|grammar",
    re.I,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(not found|does not exist|unknown|not exist)|(unknown|invalid|no such) model", re.I
)
_PROMPT = ("", "messages", "prompt", "input")
"""What a server names when it does not like an item, and no parameter."""
_STOPPING = (401, 402, 403, 404, 405, 410)


class Fault(Struct, frozen=True):
    """Why an item has no answer. `of_item`: the others are none the worse for it."""

    reason: str
    of_item: bool = False


class Words:
    """What a server says, fit to be told: in one line that moves no cursor, not too long, never with the key that it
    was sent."""

    def __init__(self, key: str | None) -> None:
        encoded = base64.b64encode(key.encode()).decode().rstrip("=") if key else ""
        self._secrets = [key, encoded] if key and len(key) >= _SECRET_LENGTH else []

    def hold_key(self, text: str) -> bool:
        return any(secret in text for secret in self._secrets)

    def told(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(letter if letter.isprintable() else " " for letter in text)
        text = " ".join(text.split())
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Faults:
    """Decides about failures, and counts those of the server that came with no answer between them."""

    def __init__(self, settings: Settings, words: Words) -> None:
        self._settings = settings
        self.words = words
        self._in_a_row = 0

    def answered(self) -> None:
        """The server works."""
        self._in_a_row = 0

    def of(self, failure: Failure) -> Fault:
        """What a failure makes of its item. Raises what stops the run."""
        said = self.words.told(failure.message) or "no reason given"
        where = self._settings.base_url
        if failure.kind == "unreachable":
            raise PrerequisiteError(
                f"the server {where} cannot be reached ({said})",
                hint="start it, or mend base_url, and run the same command again: only what is missing is asked for",
            )
        if failure.kind == "timeout":
            return Fault(f"the server took more than {self._settings.options.timeout_s:g} s ({said})")
        if failure.kind == "broken":
            return Fault(f"the connection broke before the answer was whole ({said})")
        return self._of_status(failure, said)

    def count(self, fault: Fault) -> None:
        """Note a fault that is told. Raises PrerequisiteError when the server fails all the time."""
        if fault.of_item:
            return
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:
            raise PrerequisiteError(
                f"the server {self._settings.base_url} failed {self._in_a_row} times in a row, the last time so: "
                f"{fault.reason}",
                hint="mend that and run the same command again: only what is missing is asked for",
            )

    def _of_status(self, failure: Failure, said: str) -> Fault:
        status, told = failure.status, f"the server answered {failure.status}: {said}"
        hints = " ".join((failure.code, failure.message))
        if status in (400, 422) and failure.param not in _PROMPT and _PARAMETER.search(hints):
            self._refused(failure, told)
        if status in (400, 413, 422) and _CONTEXT.search(hints):
            return Fault(told, of_item=True)
        if status in (400, 403, 422) and _FILTER.search(hints):
            return Fault(told, of_item=True)
        if status in _STOPPING or 300 <= status < 400 or "insufficient_quota" in hints:
            raise PrerequisiteError(told, hint=self._mend(status))
        if status < 500 and _NO_MODEL.search(hints):
            raise PrerequisiteError(told, hint=self._mend(status))
        if status in (400, 422) and (failure.param or _PARAMETER.search(hints)):
            self._refused(failure, told)
        return Fault(told)

    def _mend(self, status: int) -> str:
        settings = self._settings
        if status in (401, 403):
            named = f"the key in {settings.variable}" if settings.variable else "there is no `key`"
            return f"{named}: does the server know it, and may it use '{settings.name}'?"
        if 300 <= status < 400:
            return "it sends to another address: write that one as base_url"
        if status in (402, 429):
            return "the account has no credit left"
        return f"does {settings.base_url} know a model '{settings.name}', and this way of asking (chat, or plain text)?"

    def _refused(self, failure: Failure, told: str) -> NoReturn:
        """A parameter that is declared and that the server does not take: another item would not fare better."""
        raise ContractError(
            told,
            hint="declare what the server can do, or keep it from being sent: options: {without: [...]}, "
            "{max_tokens_as: max_completion_tokens} (docs/servers.md)",
        )


def ignores(settings: Settings, what: str, seen: str, hint: str) -> EvalkitError:
    """The error that a server went on without what it was asked."""
    return ContractError(f"the server {settings.base_url} ignores {what}: {seen}", hint=hint)
