"""What answers cost in money. An unknown price stays unknown: it is never taken for 0."""

from __future__ import annotations

from msgspec import Struct

_MTOK = 1_000_000
_HOUR = 3600


class Price(Struct, frozen=True):
    """What a server asks, in USD for a million tokens of prompts and of answers."""

    input_mtok: float
    output_mtok: float

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.input_mtok + completion_tokens * self.output_mtok) / _MTOK


class Used(Struct, frozen=True):
    """What one answer took: tokens, and `seconds` of the machine that gave it. None is not known."""

    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None


class Rate(Struct, frozen=True):
    """How the answers of a model are paid: by a `price` for tokens, or else in USD an `hour` of the machine.

    With neither what they cost is not known. `remote`: no machine of ours is busy with them.
    """

    price: Price | None = None
    hour: float | None = None
    remote: bool = False

    def usd(self, used: Used) -> float | None:
        """What an answer cost; None where that is not known."""
        if self.price is not None:
            if used.prompt_tokens is None or used.completion_tokens is None:
                return None
            return self.price.usd(used.prompt_tokens, used.completion_tokens)
        if self.hour is None or used.seconds is None:
            return None
        return used.seconds / _HOUR * self.hour

    def at_most(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What so many tokens cost; None where time is paid, which nobody knows before."""
        if not prompt_tokens and not completion_tokens:
            return 0.0
        return None if self.price is None else self.price.usd(prompt_tokens, completion_tokens)
