"""Content addresses of what is stored: a completion by what decides it, an execution by what it ran.

Whatever may change an answer is in its key and nothing else, so that equal questions are asked once.
"""

from __future__ import annotations

import msgspec

from evalkit.core.digest import digest
from evalkit.core.types import Fingerprint, Program, Prompt, SamplingParams


def decisive(sampling: SamplingParams) -> SamplingParams:
    """The parameters that can change the answer, everything else at its default.

    A greedy answer takes the most likely token: no seed is drawn from, and top-p, top-k and min-p never remove that
    token. So `greedy` with seed 1 and `greedy` with seed 2 share their stored answers.
    """
    if not sampling.greedy:
        return sampling
    return SamplingParams(
        repetition_penalty=sampling.repetition_penalty, max_tokens=sampling.max_tokens, stop=sampling.stop
    )


def completion_key(
    fingerprint: Fingerprint, task: str, item: str, prompt: Prompt, sampling: SamplingParams, index: int
) -> str:
    """The address of answer `index` to a prompt.

    `task` and `item` count only for engines that answer by item (recorded answers): elsewhere two tasks that ask the
    same question share the answer.
    """
    place = [task, item] if fingerprint.by_item else None
    return digest(["completion", fingerprint, place, prompt, decisive(sampling), index])


def execution_key(program: Program, identity: str) -> str:
    """The address of one run of a program; `identity` is the sandbox's own digest (image and worker)."""
    return digest(["execution", msgspec.structs.replace(program, key=""), identity])
