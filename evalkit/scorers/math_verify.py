"""Mathematical answers, judged by the package math-verify as the field does: MATH, MATH-500, AIME.

    score: {math_verify: {answer: '{{ answer }}'}}

Source of the rules: math-verify 0.9.0 (github.com/huggingface/Math-Verify, Apache-2.0), with the parameters under which
lm-evaluation-harness reports `math_verify`: LaTeX and plain expressions, any match, first match as a last resort,
6 decimals, 15 digits, strict, five seconds for each step. The gold answer is the first argument: the relation is not
symmetric.

sympy can hang, so all of it runs in a helper process. A comparison that does not end counts as failed, as in the field,
under a class of its own (`undecided`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import msgspec
from msgspec import Struct

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score
from evalkit.scorers import bounded
from evalkit.scorers.gold import check_options, gold_value, verdict, wrong_gold
from evalkit.scorers.plain import PlainScorer, whole_answer

_STEP_S = 5
_TOTAL_CPU_S = 30
_SHOWN = 200
_DIGITS = 15
_VERSION = "0.9.0"
_IN_LATEX = re.compile(r"(?<!\\)\$|\\\(|\\\[|\\boxed")
"""A dollar sign that is not a sum of money, or another opening of mathematics."""


class MathOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a task may choose; the defaults are the field's.

    `targets` are what is looked for in an answer, `decimals` those to which floats are compared. `strict`: variables
    are told apart by their names, sets from tuples. `relations`: `1 < x < 2` equals the interval (1, 2) on either side.
    `gold_form`: the gold answer is put between dollar signs as LaTeX needs it, or taken as it is.
    """

    targets: tuple[Literal["latex", "expr"], ...] = ("latex", "expr")
    decimals: int = 6
    strict: bool = True
    relations: bool = False
    gold_form: Literal["latex", "as_is"] = "latex"


class MathVerifyScorer(PlainScorer):
    """The expression that the answer ends in equals the gold one, in any form that is mathematically the same."""

    def __init__(self, options: dict[str, Json]) -> None:
        check_options("math_verify", options, MathOptions.__struct_fields__)
        own = {name: value for name, value in options.items() if name not in ("answer", "field")}
        try:
            self._own = msgspec.convert(own, MathOptions)
        except msgspec.ValidationError as error:
            raise SpecError(f"options of the scorer 'math_verify': {error}") from error
        if not self._own.targets:
            raise SpecError("score.math_verify.targets is empty", hint="targets: [latex, expr]")
        self._options = options

    def check(self, sample: Sample) -> None:
        """Raises DataError for a sample without a gold answer, PrerequisiteError without the package."""
        _check_installed()
        self._gold(sample)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        _check_installed()
        gold = self._gold(sample)
        arguments = {
            "gold": gold,
            "text": whole_answer(sample, completion).encode("utf-8", "replace").decode(),
            "targets": self._own.targets,
            "decimals": self._own.decimals,
            "strict": self._own.strict,
            "relations": self._own.relations,
        }
        expected = f"expected {gold[:_SHOWN]}"
        try:
            found = bounded.shared().call(f"{__name__}:compare", arguments, _TOTAL_CPU_S)
        except bounded.Exceeded as error:
            if error.cause in ("time", "memory"):
                return _undecided(None, f"{expected}; the comparison was ended: {error.reason}")
            return Score("void", None, reason=f"scorer: math-verify failed: {error.reason}")
        answer = None if found["answer"] is None else found["answer"][:_SHOWN]
        if found["gave_up"] and not found["equal"]:
            return _undecided(answer, f"{expected}; math-verify gave up after {_STEP_S} s")
        return verdict(found["equal"], answer, "math_verify", expected)

    def _gold(self, sample: Sample) -> str:
        value = gold_value(self._options, "math_verify", sample)
        if isinstance(value, (bool, dict, list)) or value is None or not str(value).strip():
            raise wrong_gold(self._options, sample, value)
        gold = str(value).strip()
        return gold if self._own.gold_form == "as_is" or _IN_LATEX.search(gold) else f"${gold}$"


def compare(gold: str, text: str, targets: list[str], decimals: int, strict: bool, relations: bool) -> dict[str, Json]:
    """What math-verify finds in the text, and whether it equals the gold answer. Runs in the helper process."""
    from math_verify import parse, verify

    configs = _configs(targets)
    with _timeouts() as timeouts:
        expected = parse(gold, extraction_config=configs, parsing_timeout=_STEP_S)
        given = parse(text, extraction_config=configs, parsing_timeout=_STEP_S)
        equal = verify(
            expected,
            given,
            float_rounding=decimals,
            numeric_precision=_DIGITS,
            strict=strict,
            allow_set_relation_comp=relations,
            timeout_seconds=_STEP_S,
        )
    answer = next((part for part in reversed(given) if isinstance(part, str)), None)
    return {"equal": equal, "answer": answer, "gave_up": bool(timeouts)}


def _configs(targets: list[str]) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig

    kinds = {"latex": LatexExtractionConfig, "expr": ExprExtractionConfig}
    return [kinds[target]() for target in targets]


@contextmanager
def _timeouts() -> Iterator[list[str]]:
    """The messages in which math-verify says that it gave up: it says so nowhere else."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "timeout" in record.getMessage().lower():
                said.append(record.getMessage())

    logger, listener = logging.getLogger("math_verify"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield said
    finally:
        logger.removeHandler(listener)


def _undecided(answer: str | None, reason: str) -> Score:
    return Score("fail", 0.0, answer=answer, error_class="undecided", rule="math_verify", reason=reason)


@cache
def _check_installed() -> None:
    hint = "pip install 'evalkit-spec[math]'"
    try:
        found = version("math-verify")
        version("antlr4-python3-runtime")
    except PackageNotFoundError as error:
        raise PrerequisiteError(f"the scorer math_verify needs a package: {error}", hint=hint) from error
    if found != _VERSION:
        message = (
            f"the scorer math_verify needs math-verify {_VERSION}, here is {found}: other versions judge otherwise"
        )
        raise PrerequisiteError(message, hint=hint)
