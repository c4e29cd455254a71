"""Content addresses of completions and executions: what makes two of them the same.

Two requests with one key are one request; a stored answer is never asked for again. Whatever can change an answer
must be in its key, and nothing else may be.
"""

from __future__ import annotations

import msgspec

from evalkit.core.digest import digest
from evalkit.core.types import Fingerprint, Program, Reference, Request, SamplingParams


def decisive(sampling: SamplingParams) -> SamplingParams:
    """The parameters that can change the answer, everything else at its default.

    A greedy answer takes the most likely token: no seed is drawn from, and top-p, top-k and min-p never remove that
    token; a format can, and stays. So `greedy` with seed 1 and `greedy` with seed 2 share their stored answers.
    """
    if not sampling.greedy:
        return sampling
    return SamplingParams(
        repetition_penalty=sampling.repetition_penalty,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        json_schema=sampling.json_schema,
    )


def completion_key(fingerprint: Fingerprint, request: Request, salt: str = "") -> str:
    """The address of the completion that a request asks for; its own `key` has no part in it.

    Task, item and turn count only for engines that answer by item. Likelihoods depend on no sampling parameter.
    A format, and what enforces it, counts where there is one. `salt` tells a deliberately repeated run (`--fresh`) from
    the one before.
    """
    sampling = msgspec.structs.asdict(decisive(request.sampling))
    schema = sampling.pop("json_schema")
    parts: dict[str, object] = {
        "fingerprint": {"engine": fingerprint.engine, "parts": fingerprint.parts, "by_item": fingerprint.by_item},
        "prompt": request.prompt,
        "sampling": sampling,
        "index": request.index,
    }
    if schema is not None and not request.continuations:
        parts["format"] = {"json_schema": schema, "parts": fingerprint.format_parts}
    if request.continuations:
        parts |= {"sampling": None, "continuations": request.continuations}
    if fingerprint.by_item:
        parts["item"] = [request.task, request.item, *([request.turn] if request.turn else [])]
    if salt:
        parts["salt"] = salt
    return digest(parts)


def execution_key(program: Program, identity: str, reference: Reference | None = None) -> str:
    """The address of one execution: the program with its tests and limits, and what the sandbox is made of.

    Of a limit that follows from a reference program the rule is in the key, never the time that was measured: a second
    run, on a machine of another speed, finds the stored verdicts.
    """
    parts: dict[str, object] = {"program": msgspec.structs.replace(program, key=""), "sandbox": identity}
    if reference is not None:
        key = execution_key(reference.program, identity)
        parts["reference"] = {"program": key, "factor": reference.factor, "floor_s": reference.floor_s}
    return digest(parts)
