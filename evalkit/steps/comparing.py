"""Asking judges about pairs: every game that the store lacks, a few dozen answers at a time.

It comes after all answers of the contestants, since the judge's model takes their place. A kill loses no game.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evalkit.core.ports import Store, Tools
from evalkit.core.types import Completion, Progress, Request, Void
from evalkit.core.verdicts import Said
from evalkit.steps.bench import chunks
from evalkit.steps.keeping import keep
from evalkit.steps.pair_judges import PairJudge
from evalkit.steps.pairing import Pairing, asked, pairs
from evalkit.steps.verdict_texts import read

_CHUNK = 256


def games_of(pairing: Pairing, judge: PairJudge, store: Store, identity: str) -> Iterator[dict[str, Request]]:
    """The requests of all games that follow from the stored answers, by key, some at a time."""
    for some in chunks(pairs(pairing, store, identity), _CHUNK):
        yield {one.request.key: one.request for pair in some for one in asked(pairing, judge, pair)}


def compare(pairings: Sequence[Pairing], tools: Tools, identity: str) -> None:
    """Obtain every answer of the judges that the store lacks, for all pairs that it has. Each judge's model is loaded
    once, whatever the number of steps in which it judges.

    Raises what `fill` raises; all that was obtained until then is stored.
    """
    seats = [(pairing, judge) for pairing in pairings for judge in pairing.judges]
    models = list(dict.fromkeys(judge.model.name for _, judge in seats))
    for pairing, judge in sorted(seats, key=lambda seat: models.index(seat[1].model.name)):
        _Comparing(pairing, judge, tools, identity).run()


class _Comparing:
    def __init__(self, pairing: Pairing, judge: PairJudge, tools: Tools, identity: str) -> None:
        self._pairing = pairing
        self._judge = judge
        self._tools = tools
        self._identity = identity
        self._stage = f"pairs, judged by {judge.name}"

    def run(self) -> None:
        store, listener = self._tools.store, self._tools.listener
        keys = {key for some in self._wanted() for key in some}
        known = store.known("completions", keys)
        listener.stage(self._pairing.step.name, self._stage, len(keys), len(known))
        self._advance(Progress(early=len(known)))
        for some in self._wanted():
            missing = [request for key, request in some.items() if key not in known]
            known |= some.keys()  # a chunk may ask what the one before has asked
            if missing:
                keep(self._tools.engine(self._judge.model).generate(missing), store, self._settle)
        self._tell_unread(sorted(keys))

    def _wanted(self) -> Iterator[dict[str, Request]]:
        return games_of(self._pairing, self._judge, self._tools.store, self._identity)

    def _settle(self, fresh: list[Completion], voids: list[Void]) -> None:
        tokens = sum(one.completion_tokens or 0 for one in fresh)
        self._advance(Progress(done=len(fresh), early=len(fresh), tokens=tokens, void=len(voids)))

    def _advance(self, progress: Progress) -> None:
        if progress != Progress():
            self._tools.listener.advance(self._pairing.step.name, self._stage, progress)

    def _tell_unread(self, keys: list[str]) -> None:
        said: list[Said | None] = []
        for some in chunks(keys, _CHUNK):
            answers = self._tools.store.completions(some).values()
            said += [read(self._judge.style, one.text).said for one in answers]
        unread = said.count(None)
        if unread:
            self._tools.listener.note(
                f"{self._pairing.step.name}: {unread} of {len(said)} answers of the judge '{self._judge.name}' hold no "
                "verdict that can be read; the pairs that they are about are invalid, and counted"
            )
