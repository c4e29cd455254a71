"""What scorers share: a base for those that execute nothing and weigh nothing, and what counts as the answer."""

from __future__ import annotations

from evalkit.core.types import Completion, Program, Reference, Sample


def whole_answer(sample: Sample, completion: Completion) -> str:
    """The assistant's turn as a reader sees it: what the prompt began (`prefill`), and what the model wrote after it.

    For scorers that judge a thing as a whole: a program, a JSON value, a formula. Those that look for an answer in the
    text look at what the model wrote, or a begun answer would count as one.
    """
    return sample.prompt.prefill + completion.text


class PlainScorer:
    """A base of scorers that have no program and no continuations."""

    executes = False
    reads_gold: bool = True

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return None

    def reference(self, sample: Sample) -> Reference | None:
        return None

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()
