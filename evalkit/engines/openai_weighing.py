"""How likely given continuations are, from a server that repeats a prompt with the log-probability of each of its
tokens (`echo` of plain completions, which vLLM's server has and llama.cpp's passes over).

Each continuation is sent with the prompt before it as one text, and which tokens are its own is read from the tokens
that come back, from the end: no tokenizer is needed, and where a token stands across the border nothing is guessed.
White space that ends the prompt belongs to the continuation, as `codec.py` has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.core.digest import digest
from evalkit.core.types import Completion, Json, Likelihood, Request
from evalkit.engines.chat import plain_text
from evalkit.engines.openai_answers import Logprobs, Reader
from evalkit.engines.openai_body import Call
from evalkit.engines.openai_faults import Fault, ignores
from evalkit.engines.openai_line import Reply
from evalkit.engines.openai_settings import Settings


def weighing_calls(settings: Settings, request: Request) -> list[Call]:
    """One for each continuation. A token has to be written with it: servers refuse to write none."""
    text = plain_text(request.prompt)
    body: dict[str, Json] = {"model": settings.name, "max_tokens": 1, "echo": True, "logprobs": 1}
    body |= {"temperature": 0.0} if settings.sends("temperature") else {}
    return [
        Call("completions", body | settings.options.body | {"prompt": text + continuation})
        for continuation in request.continuations
    ]


class Weighing:
    """One request while the replies about its continuations come in."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self._settings = settings
        self._request = request
        self._stem = plain_text(request.prompt).rstrip() or plain_text(request.prompt)
        self._found: dict[int, Likelihood] = {}
        self._seconds = 0.0
        self._prompt_tokens: int | None = None

    def add(self, place: int, reply: Reply, reader: Reader) -> Fault | None:
        """Read the reply about the continuation at `place`. Raises ContractError for a server without `echo`."""
        found = reader.only_choice(reply)
        if isinstance(found, Fault):
            return found
        body, choice = found
        told = choice.logprobs
        whole = plain_text(self._request.prompt) + self._request.continuations[place]
        if told is None or told.tokens is None or not (choice.text or "").startswith(whole):
            seen = "a prompt did not come back with the log-probabilities of its tokens"
            raise ignores(self._settings, "`echo`", seen, "take options.weigh away: this server does not weigh")
        count = body.usage.prompt_tokens if body.usage is not None else None
        tokens = told.tokens[: len(told.tokens) - 1 if count is None else count]
        own = _own_tokens(tokens, whole, len(whole) - len(self._stem))
        if isinstance(own, Fault):
            return own
        likelihood = _likelihood(told, range(len(tokens) - own, len(tokens)))
        if isinstance(likelihood, Fault):
            return likelihood
        self._found[place] = likelihood
        self._seconds += reply.seconds
        self._prompt_tokens = len(tokens) - own
        return None

    def completion(self) -> Completion | None:
        """The whole answer, once every continuation has its likelihood."""
        if len(self._found) < len(self._request.continuations):
            return None
        return Completion(
            key=self._request.key,
            text="",
            finish_reason="weighed",
            effective=None,
            prompt_sha256=digest(self._request.prompt),
            prompt_tokens=self._prompt_tokens,
            seconds=self._seconds,
            likelihoods=tuple(self._found[place] for place in range(len(self._found))),
        )


def _own_tokens(tokens: Sequence[str], whole: str, length: int) -> int | Fault:
    """How many tokens at the end make the last `length` characters of a text, if they make them exactly."""
    count = covered = 0
    while covered < length and count < len(tokens):
        count += 1
        covered += len(tokens[-count])
        if not whole.endswith("".join(tokens[-count:])):
            return Fault("the server's tokens are not those of the text, so none can be told apart", of_item=True)
    if length == 0 or covered != length:
        reason = "the continuation has no tokens of its own" if length == 0 else "a token stands across its beginning"
        return Fault(f"a continuation cannot be weighed: {reason}", of_item=True)
    return count


def _likelihood(told: Logprobs, places: range) -> Likelihood | Fault:
    listed, best = told.token_logprobs or [], told.top_logprobs or []
    logprobs = [listed[place] if place < len(listed) else None for place in places]
    known = [logprob for logprob in logprobs if logprob is not None]
    if len(known) < len(logprobs):
        return Fault("the server gives no log-probability for a token of a continuation", of_item=True)
    tops = [best[place] if place < len(best) else None for place in places]
    greedy = None
    if all(tops):
        greedy = all(mine >= max(top.values()) for mine, top in zip(known, tops, strict=True) if top)
    return Likelihood(math.fsum(known), len(known), greedy)
