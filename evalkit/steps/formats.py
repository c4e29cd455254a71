"""Answers that are made to obey a schema: where that can be, and what does it."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.types import Model
from evalkit.steps.bench import Arm


def format_parts(model: Model, arms: Sequence[Arm]) -> dict[str, str]:
    """What makes a bench's answers obey their schemas; empty where all answers are free.

    Raises SpecError for a format that cannot hold for what it is asked of.
    """
    formatted = [arm for arm in arms if arm.schemas]
    for arm in formatted:
        if arm.weighs:
            message = f"task {arm.task} wants options weighed: there is no answer that could have a `format`"
            raise SpecError(message, hint="ask this task with a policy that has none")
        if any(sample.prompt.prefill for sample in arm.samples):
            message = f"task {arm.task} begins the answer itself (`prefill`): what goes on from there has no `format`"
            raise SpecError(message, hint="ask this task with a policy that has none, or take `prefill` out of it")
    schemas = dict.fromkeys(schema for arm in formatted for schema in arm.schemas if schema is not None)
    if not schemas:
        return {}
    parts: dict[str, str] = registry.load("engines", model.engine).check_format(model, list(schemas))
    return parts
