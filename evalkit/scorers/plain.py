"""What scorers share that judge an answer as it is: nothing is executed, nothing is weighed."""

from __future__ import annotations

from evalkit.core.types import Completion, Program, Reference, Sample


class PlainScorer:
    """A base of scorers that have no program and no continuations."""

    executes = False

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return None

    def reference(self, sample: Sample) -> Reference | None:
        return None

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()
