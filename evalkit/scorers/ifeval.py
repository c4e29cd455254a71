"""Instructions that a program can check: IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for LLMs").

    score: {ifeval: {}}

The score of an answer is the strict verdict on its prompt: every instruction is followed. The three other published
figures stand beside it as readings: the loose verdict on the prompt, and the
instructions that are followed, strictly and loosely.
"""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score, Share
from evalkit.scorers.ifeval_checks import CHECKS, Arguments, follows, follows_loosely, needs_language
from evalkit.scorers.language import language
from evalkit.scorers.plain import PlainScorer

_FIELDS = {"instructions": "instruction_id_list", "arguments": "kwargs"}
_PROBE = "An answer in words."


class IfevalScorer(PlainScorer):
    """Every instruction of the row is followed.

    Options `instructions` and `arguments`: the fields with the list of instruction ids and the list of their arguments,
    one object each, whose nulls count as absent (default: `instruction_id_list` and `kwargs`).
    """

    reads_gold = False

    def __init__(self, options: dict[str, Json]) -> None:
        unknown = sorted(set(options) - set(_FIELDS))
        if unknown:
            raise SpecError(f"score.ifeval has no option '{unknown[0]}'", hint=f"known: {', '.join(_FIELDS)}")
        for name, value in options.items():
            if not isinstance(value, str):
                raise SpecError(f"score.ifeval.{name} is the name of a field, not {value!r}")
        self._fields = {name: str(options.get(name, field)) for name, field in _FIELDS.items()}

    def check(self, sample: Sample) -> None:
        """Raises DataError for instructions that cannot be checked, PrerequisiteError without the package."""
        wanted = self._instructions(sample)
        if any(needs_language(name) for name, _ in wanted):
            language(_PROBE)
        for name, given in wanted:
            try:
                follows(name, _PROBE, given)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise _wrong(sample, f"the arguments {given!r} do not fit {name}: {error!r}") from error

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        wanted = self._instructions(sample)
        strict = _verdicts(follows, completion.text, wanted)
        loose = _verdicts(follows_loosely, completion.text, wanted)
        readings = {
            "prompt loose": Share(float(all(loose))),
            "instruction strict": Share(float(sum(strict)), len(strict)),
            "instruction loose": Share(float(sum(loose)), len(loose)),
        }
        if all(strict):
            return Score("pass", 1.0, rule="strict", readings=readings)
        missed = ", ".join(name for (name, _), followed in zip(wanted, strict, strict=True) if not followed)
        kind = "not_followed" if completion.text.strip() else "no_answer"
        return Score("fail", 0.0, error_class=kind, rule="strict", reason=f"not followed: {missed}", readings=readings)

    def _instructions(self, sample: Sample) -> list[tuple[str, Arguments]]:
        names, given = (self._field(sample, self._fields[name]) for name in _FIELDS)
        if not names or len(names) != len(given):
            raise _wrong(sample, f"{len(names)} instructions and {len(given)} sets of arguments")
        for name in names:
            if name not in CHECKS:
                raise _wrong(sample, f"no instruction is called {name!r}")
        return [(name, _present(arguments)) for name, arguments in zip(names, given, strict=True)]

    def _field(self, sample: Sample, field: str) -> list[Json]:
        value = sample.row.get(field)
        if not isinstance(value, list):
            raise _wrong(sample, f"the field '{field}' holds no list")
        return value


def _verdicts(
    rule: Callable[[str, str, Arguments], bool], text: str, wanted: list[tuple[str, Arguments]]
) -> list[bool]:
    return [rule(name, text, given) for name, given in wanted]


def _present(arguments: Json) -> Arguments:
    """Tables hold every argument of every instruction, most of them null."""
    return {name: value for name, value in (arguments or {}).items() if value is not None}


def _wrong(sample: Sample, message: str) -> DataError:
    return DataError(message, where=f"item {sample.id} of task {sample.task}")
