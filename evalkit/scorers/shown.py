"""A gold answer as a text for a reader: what the scorer compares with, or a program that is known to be right."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.core.errors import DataError
from evalkit.core.types import Json, Sample
from evalkit.scorers.gold import gold_value
from evalkit.scorers.options import read


def gold_text(scorer: str, options: Mapping[str, Json], sample: Sample) -> str | None:
    """The gold answer of a sample by the options of its scorer; None where the task has none.

    `answer` or `field`, as most scorers name it; the right options of a choice; the `reference` program of code.
    """
    try:
        value = _gold(scorer, options, sample)
    except DataError:
        return None  # what cannot be scored was said where the samples were checked
    if isinstance(value, list):
        return " or ".join(map(str, value)) or None
    return str(value).strip() or None if value is not None else None


def _gold(scorer: str, options: Mapping[str, Json], sample: Sample) -> Json:
    if scorer == "choice":
        return read(options, sample).expected
    if isinstance(options.get("answer"), str) or isinstance(options.get("field"), str):
        return gold_value(options, scorer, sample)
    reference = options.get("reference")
    return sample.row.get(reference) if isinstance(reference, str) else None
