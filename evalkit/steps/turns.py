"""Chats of several turns: each later question is asked after the answer to the one before.

Every answer is stored under a key of its own, so a kill between two turns loses nothing. What a later turn asks is
known once the answers before it are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from evalkit.core.keys import completion_key
from evalkit.core.ports import Store
from evalkit.core.types import Completion, Message, Prompt, Request
from evalkit.steps.bench import Arm, Bench, Cell, cells, chunks

_CHUNK = 2048


def following(bench: Bench, cell: Cell, answer: Completion) -> Cell | None:
    """The cell of the turn after `cell`, in the chat that its answer makes; None after the last turn."""
    if cell.last:
        return None
    request = _next_request(cell, (Message("assistant", answer.text),))
    key = completion_key(bench.fingerprint, request, bench.salt)
    request = msgspec.structs.replace(request, key=key)
    return Cell(cell.sample, request, (*cell.earlier, answer), cell.turns)


def _next_request(cell: Cell, answer: tuple[Message, ...]) -> Request:
    before = cell.request
    question = Message("user", cell.sample.followups[before.turn])
    prompt = Prompt(messages=(*before.prompt.messages, *answer, question))
    turn = before.turn + 1
    sampling = cell.turns[turn] if cell.turns else before.sampling
    return msgspec.structs.replace(before, key="", prompt=prompt, turn=turn, sampling=sampling)


def reached(bench: Bench, some: Sequence[Cell], store: Store) -> tuple[list[Cell], dict[str, Completion]]:
    """Each cell at the furthest turn that the stored answers lead to, and all answers that were found, by key."""
    found = list(some)
    answers = store.completions([cell.request.key for cell in found])
    places = list(range(len(found)))
    while places:
        moved = []
        for place in places:
            answer = answers.get(found[place].request.key)
            after = following(bench, found[place], answer) if answer is not None else None
            if after is not None:
                found[place] = after
                moved.append(place)
        answers |= store.completions([found[place].request.key for place in moved]) if moved else {}
        places = moved
    return found, answers


def wanted(bench: Bench, arm: Arm, store: Store) -> Iterator[tuple[Cell, bool]]:
    """Every completion that an arm wants, later turns after earlier ones, and whether it is stored.

    A later turn whose chat is not known yet has a prompt without the missing answers, and a key that nothing has.
    """
    for some in chunks(cells(bench, arm), _CHUNK):
        turn = some
        while turn:
            keys = [cell.request.key for cell in turn]
            known = store.known("completions", keys)
            yield from ((cell, cell.request.key in known) for cell in turn)
            before = [cell for cell in turn if not cell.last]
            answers = store.completions([cell.request.key for cell in before]) if before else {}
            turn = [_after(bench, cell, answers.get(cell.request.key)) for cell in before]


def _after(bench: Bench, cell: Cell, answer: Completion | None) -> Cell:
    known = following(bench, cell, answer) if answer is not None else None
    if known is not None:
        return known
    request = msgspec.structs.replace(_next_request(cell, ()), key=f"{cell.request.key}+")
    return Cell(cell.sample, request, cell.earlier, cell.turns)
