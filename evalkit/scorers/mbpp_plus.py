"""What MBPP+ (EvalPlus) leaves out of its data: which lists stand for tuples, and which tasks are compared otherwise.

Facts of evalplus 0.3.1, `data/mbpp.py` and `eval/_special_oracle.py`. JSON has no tuples, sets or complex numbers; the
numbers below are those of the tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evalkit.core.types import Json

Arguments = list[Any]

ORACLES = {
    "check_str": "not_none",
    "text_match_three": "not_none",
    "text_starta_endb": "not_none",
    "similar_elements": "set",
    "find_char_long": "set",
    "common_in_nested_lists": "set",
    "extract_singly": "set",
    "larg_nnum": "set",
    "intersection_array": "set",
    "find_dissimilar": "set",
    "Diff": "set",
    "are_equivalent": "any",
    "sum_div": "zero",
    "surface_Area": "pyramid",
    "digit_distance_nums": "digits",
}
"""Entry point → the rule of `agreement.agree`."""


def arguments(number: int, given: Json) -> Arguments:
    """The arguments of one call of task `number`, with tuples where its functions take tuples."""
    restore = _RESTORE.get(number)
    return list(given) if restore is None else restore(list(given))


def _all(convert: Callable[[Any], Any]) -> Callable[[Arguments], Arguments]:
    return lambda given: [convert(value) for value in given]


def _at(place: int, convert: Callable[[Any], Any]) -> Callable[[Arguments], Arguments]:
    return lambda given: [convert(value) if index == place else value for index, value in enumerate(given)]


def _tuples(value: Any) -> list[Any]:
    return [tuple(item) for item in value]


def _tuple_of_tuples(value: Any) -> tuple[Any, ...]:
    return tuple(tuple(item) for item in value)


def _tuple_of_some(value: Any) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _deep(value: Any) -> Any:
    return tuple(_deep(item) for item in value) if isinstance(value, list) else value


def _sets(value: Any) -> list[Any]:
    return [set(item) if isinstance(item, list) and item else {} for item in value]


def _values(value: Any) -> dict[str, Any]:
    return {key: tuple(item) for key, item in value.items()}


def _float_and_complex(given: Arguments) -> Arguments:
    return [float(given[0]), complex(given[1])]


_GROUPS: tuple[tuple[Callable[[Arguments], Arguments], tuple[int, ...]], ...] = (
    (_all(tuple), (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740)),
    (_all(tuple), (744, 809)),
    (_all(_tuples), (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)),
    (_at(0, _tuples), (75, 413, 444, 753)),
    (_at(1, tuple), (106, 750)),
    (_at(0, _sets), (115,)),
    (_float_and_complex, (124,)),
    (_at(0, tuple), (250, 307, 405, 446, 617, 720, 763, 808)),
    (_all(_tuple_of_tuples), (259, 401, 445)),
    (_at(0, _tuple_of_some), (278,)),
    (_at(0, _values), (722,)),
    (_at(0, complex), (252,)),
    (_all(_deep), (580, 615, 791)),
)
_RESTORE = {number: restore for restore, numbers in _GROUPS for number in numbers}
