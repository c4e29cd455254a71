"""Content addresses of completions and executions: what makes two of them the same.

Two requests with one key are one request; a stored answer is never asked for again. Whatever can change an answer
must be in its key, and nothing else may be.
"""

from __future__ import annotations

import msgspec

from evalkit.core.digest import digest
from evalkit.core.types import Fingerprint, Program, Sample, SamplingParams


def completion_key(
    fingerprint: Fingerprint, sample: Sample, sampling: SamplingParams, *, index: int, salt: str = ""
) -> str:
    """The address of one completion.

    Task and item count only for engines that answer by item. A greedy answer does not depend on the seed, so the seed
    is left out of its key. `salt` tells a deliberately repeated run (`--fresh`) from the one before.
    """
    drawn = msgspec.structs.replace(sampling, seed=0) if sampling.greedy else sampling
    parts: dict[str, object] = {"fingerprint": fingerprint, "prompt": sample.prompt, "sampling": drawn, "index": index}
    if fingerprint.by_item:
        parts["item"] = [sample.task, sample.id]
    if salt:
        parts["salt"] = salt
    return digest(parts)


def execution_key(program: Program, identity: str) -> str:
    """The address of one execution: the program with its tests and limits, and what the sandbox is made of."""
    return digest({"program": msgspec.structs.replace(program, key=""), "sandbox": identity})
