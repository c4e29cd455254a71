"""Models on a server that speaks as OpenAI's does: OpenAI's own, vLLM's, llama.cpp's, a vendor's compatible end point.

Messages go to `/chat/completions`, a bare text to `/completions`, all to the latter where the model says `chat: false`.
Each answer is a request of its own with a seed of its own, never one request with `n`: so it can be drawn again alone,
and a run that was cut short asks for what is missing only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing

import msgspec
from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.ports import Notify, Rendered
from evalkit.core.types import Completion, Fingerprint, Model, Prompt, Request, Void
from evalkit.engines.openai_answers import Reader
from evalkit.engines.openai_body import call_of
from evalkit.engines.openai_faults import Fault, Faults, Words
from evalkit.engines.openai_line import Failure, Line, require
from evalkit.engines.openai_probe import Probe
from evalkit.engines.openai_settings import Settings, settings_of
from evalkit.engines.openai_weighing import Weighing, weighing_calls

_ASKING = "1"
"""Raise it when what is sent, or read of a reply, changes: what is stored of the old is then not taken for the new."""
_FINGERPRINTS_TOLD = 8


class OpenAIAdapter:
    """Registered as `openai`. It runs in the parent: it loads no model, and waits more than it works."""

    isolated = False
    recorded = False
    remote = True

    def fingerprint(self, model: Model) -> Fingerprint:
        """Address, name and what is sent besides prompt and sampling. What the server runs behind them it cannot
        know: `options.revision` is the place to say it."""
        settings = settings_of(model)
        options = settings.options
        parts = {
            "asking": _ASKING,
            "base_url": settings.base_url,
            "name": settings.name,
            "chat": str(settings.chat).lower(),
            "without": " ".join(sorted(settings.without)),
        }
        told = {
            "revision": options.revision,
            "prefill": options.prefill,
            "max_tokens_as": options.max_tokens_as,
            "logprobs": "true" if options.logprobs else None,
            "body": msgspec.json.encode(options.body, order="sorted").decode() if options.body else None,
        }
        return Fingerprint("openai", parts | {name: str(value) for name, value in told.items() if value is not None})

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        """A server's tokenizer is not at hand."""
        return None

    def rendered(self, model: Model, prompt: Prompt) -> Rendered | None:
        """Its chat template neither."""
        return None

    def check_weighing(self, model: Model) -> None:
        """Only a server that repeats plain text with its log-probabilities can, and nobody but the spec knows that."""
        settings = settings_of(model)
        if settings.options.weigh is None or settings.chat:
            raise SpecError(
                f"model '{model.name}' is on a server, and nothing says that it tells how likely given options are",
                hint="for one that is asked in plain text and has `echo`, as vLLM's: chat: false and options: "
                "{weigh: echo}; else score by the letter that is written (`by: letter`)",
            )

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        """The server enforces it, in OpenAI's form; each answer is checked. Plain completions have no such form."""
        if not settings_of(model).chat:
            raise SpecError(
                f"model '{model.name}' is asked in plain text, and there a server is given no `format`",
                hint="take `chat: false` away, or the `format`",
            )
        return {"format": "response_format json_schema strict"}

    def batched(self, model: Model, answers: int) -> Model:
        return replace(model, options={**model.options, "concurrency": answers})

    def open(self, model: Model, notify: Notify) -> OpenAIEngine:
        """Read the key. Raises PrerequisiteError when its variable is not set, or the package openai is missing."""
        settings = settings_of(model)
        require()
        return OpenAIEngine(settings, key_of(settings), notify)


def key_of(settings: Settings) -> str | None:
    """The key, from the environment and from nowhere else; None for a server that is sent none."""
    if settings.variable is None:
        return None
    key = os.environ.get(settings.variable, "").strip()
    if not key:
        raise PrerequisiteError(
            f"the variable {settings.variable}, which holds the key for {settings.base_url}, is not set",
            hint=f"export {settings.variable}=... and run the same command again",
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise PrerequisiteError(
            f"the variable {settings.variable} holds what no key is: spaces, line breaks or letters beyond ASCII",
            hint="export the key alone",
        )
    return key


class OpenAIEngine:
    """A server that is asked. It is tried out before the first request of a kind (`openai_probe.py`)."""

    def __init__(self, settings: Settings, key: str | None, notify: Notify) -> None:
        self._settings = settings
        self._notify = notify
        self._line = Line(settings, key)
        self._words = words = Words(key)
        self._faults = Faults(settings, words)
        self._reader = Reader(settings, words)
        self._probe = Probe(settings, self._line, self._faults, notify)
        self._told = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Answers as they come; after too many failures in a row, or one that all would share, the error."""
        weighed = [request for request in requests if request.continuations]
        yield from self._weigh(weighed)
        written = [request for request in requests if not request.continuations]
        calls = [call_of(self._settings, request) for request in written]
        if self._settings.options.probe:
            self._probe.try_out(zip(written, calls, strict=True))
        with closing(self._line.ask(calls)) as answers:
            for number, heard in answers:
                request = written[number]
                if isinstance(heard, Failure):
                    found: Completion | Fault = self._faults.of(heard)
                else:
                    found = self._reader.read(request, calls[number], heard)
                if isinstance(found, Fault):
                    yield Void(request.key, found.reason, "engine")
                    self._faults.count(found)
                else:
                    self._faults.answered()
                    yield found
                self._tell()

    def _weigh(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """One answer for each request, when all of its continuations are weighed or one cannot be."""
        jobs = [
            (request, place, call)
            for request in requests
            for place, call in enumerate(weighing_calls(self._settings, request))
        ]
        open_ = {request.key: Weighing(self._settings, request) for request in requests}
        with closing(self._line.ask([call for _, _, call in jobs])) as answers:
            for number, heard in answers:
                request, place, _ = jobs[number]
                weighing = open_.get(request.key)
                if weighing is None:  # void already
                    continue
                fault = (
                    self._faults.of(heard) if isinstance(heard, Failure) else weighing.add(place, heard, self._reader)
                )
                if fault is not None:
                    del open_[request.key]
                    yield Void(request.key, fault.reason, "engine")
                    self._faults.count(fault)
                    continue
                self._faults.answered()
                whole = weighing.completion()
                if whole is not None:
                    yield whole

    def close(self) -> None:
        """Ask nothing more; what was asked and not answered is given up."""
        self._line.close()

    def _tell(self) -> None:
        """What the server says it runs, when it says something new: it is no part of a key, and worth a line."""
        new = self._reader.fingerprints[self._told : _FINGERPRINTS_TOLD]
        self._told += len(new)
        for fingerprint in new:
            self._notify(f"{self._settings.name}: the server calls its set-up '{self._words.told(fingerprint):.60}'")


ADAPTER = OpenAIAdapter()
