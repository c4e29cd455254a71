"""What differs between two steps besides their answers, from the lock and from what the engines reported back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from evalkit.core.digest import short
from evalkit.core.keys import decisive
from evalkit.core.runfolder import Lock, ModelLock, TaskLock
from evalkit.core.types import SamplingParams

Line = tuple[str, str, str]
"""What it is, before, after."""
_SURROUNDINGS = frozenset(
    ["torch", "transformers", "vllm", "sampler", "asking", "dtype", "device", "quantization", "tensor_parallel"]
) | {"enforce_eager", "batch_invariant"}
"""Parts of a model's fingerprint that are about how it is run, not which model it is."""
_NONE = "none"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def model_lines(run: Lock, before: str, after: str) -> Iterator[Line]:
    """The models of both steps, and the parts in which they differ."""
    one, other = _model(run, before), _model(run, after)
    if one is None or other is None:
        return
    (name, model), (second, against) = one, other
    if name != second:
        yield "model", name, second
    if model.engine != against.engine:
        yield "engine", model.engine, against.engine
        return  # the parts of two engines have nothing to do with each other
    for part in dict.fromkeys((*model.parts, *against.parts)):
        was, now = model.parts.get(part, _NONE), against.parts.get(part, _NONE)
        if was != now:
            yield f"model: {part}", _shortened(was), _shortened(now)


def _shortened(part: str) -> str:
    """A digest in twelve characters, anything else as it is."""
    return short(part) if _DIGEST.fullmatch(part) else part


def engine_lines(run: Lock, before: str, after: str) -> list[Line]:
    """Those of the differences that are about how a model is run: the engine, its version, its number format."""
    about = {"engine", *(f"model: {part}" for part in _SURROUNDINGS)}
    return [line for line in model_lines(run, before, after) if line[0] in about]


def task_lines(run: Lock, before: str, after: str) -> Iterator[tuple[str, Line]]:
    """By category: the policies and the data of both steps, where they differ."""
    first, second = _tasks(run, before), _tasks(run, after)
    for category in (name for name in first if name in second):
        was, now = first[category], second[category]
        for what, one, other in (
            ("policy", was.policy, now.policy),
            ("answers to an item", str(was.samples), str(now.samples)),
            ("selection", _selection(was), _selection(now)),
            ("data", short(was.sha256), short(now.sha256)),
            ("examples in the prompt", str(was.shots_each), str(now.shots_each)),
        ):
            if one != other:
                yield category, (what, one, other)


def sampling_text(used: SamplingParams | None) -> str:
    """Sampling parameters in words, without those that decide nothing."""
    if used is None:
        return "not known (recorded or weighed)"
    settings = decisive(used)
    parts = [] if used.greedy else [f"temperature {used.temperature:g}", f"top_p {used.top_p:g}"]
    parts += [f"top_k {settings.top_k}"] if settings.top_k else []
    parts += [f"min_p {settings.min_p:g}"] if settings.min_p else []
    parts += [] if used.greedy else [f"seed {used.seed}"]
    parts += [f"repetition_penalty {used.repetition_penalty:g}"] if used.repetition_penalty != 1.0 else []
    parts += [f"max_tokens {used.max_tokens}"]
    parts += [f"stop {', '.join(map(repr, used.stop))}"] if used.stop else []
    return ", ".join([*(["greedy"] if used.greedy else []), *parts])


def _model(run: Lock, step: str) -> tuple[str, ModelLock] | None:
    name = next((task.model for task in run.tasks if task.step == step), None)
    return None if name is None or name not in run.models else (name, run.models[name])


def _tasks(run: Lock, step: str) -> Mapping[str, TaskLock]:
    return {task.category: task for task in run.tasks if task.step == step}


def _selection(task: TaskLock) -> str:
    if task.select is None:
        return _NONE
    rubric = f" {task.select.rubric}" if task.select.rubric is not None else ""
    return f"{task.select.by}{rubric}, on a tie {task.select.on_tie}"
