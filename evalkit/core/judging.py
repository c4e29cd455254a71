"""What a judge is asked about an answer, and what comes of it."""

from __future__ import annotations

from msgspec import Struct


class Question(Struct, frozen=True):
    """A question that is answered by yes or no; `name` is the criterion that its answer decides."""

    name: str
    text: str


class Mark(Struct, frozen=True):
    """What a judge says to one question: the probability of yes, or None with the reason why it is not known."""

    value: float | None
    reason: str | None = None


class Judged(Struct, frozen=True):
    """The judge's work on one candidate: how many `questions` were put, and of these how many answers are `unread`,
    neither yes nor no.

    Tokens and seconds are those of the answers that were asked for this candidate; what an equal candidate of the item
    had before it costs nothing again. None is a sum that is not known.
    """

    judge: str
    model: str
    questions: int
    unread: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    usd: float | None = None
