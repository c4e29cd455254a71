"""Whether two answers agree, by the rules of EvalPlus 0.3.1 (github.com/evalplus/evalplus).

The text of this module runs beside the tests in the sandbox: Python 3.9 and its standard library are all that it may
use.

Equal is enough. Floats, and lists of them, may differ by an absolute 1e-6 or by what the task says, and by 1e-7 of the
expected value. A few tasks of MBPP have a rule of their own (`oracle`).

What the program returned may be an object that only stands for one of its own. Such a thing says of itself what it
likes, so its type is asked for with `type`, and nothing but plain numbers is ever computed with: it would be told what
is expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_FLOATS = 1e-6
_RELATIVE = 1e-7
_NUMBERS = (int, float, complex)
_SHOWN = 200


def agree(got: Any, wanted: Any, arguments: Sequence[Any], oracle: str = "", atol: float = 0.0) -> bool:
    """Whether `got` is as good as `wanted` for these arguments.

    Oracles: `any` (whatever is returned), `zero` (or 0), `set` (the same elements), `not_none` (a match or none, in
    whatever form), `pyramid` and `digits` (a second reading of the problem).
    """
    if oracle == "any":
        return True
    if oracle == "set":
        return set(got) == set(wanted)
    if oracle == "not_none":
        found = wanted is not None
        return got is found if isinstance(got, bool) else found == (got is not None)
    if got == wanted:
        return True
    if oracle == "zero":
        return bool(got == 0)
    if oracle == "pyramid":
        return type(got) in (int, float) and bool(abs(got - _pyramid(*arguments)) <= atol)
    if oracle == "digits":
        return type(got) in (int, float) and bool(got == _digits(*arguments))
    tolerance = _FLOATS if atol == 0 and _are_floats(wanted) else atol
    return tolerance != 0 and type(got) is type(wanted) and _near(got, wanted, tolerance)


def _are_floats(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _near(got: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(wanted, (list, tuple)):
        both = issubclass(type(got), (list, tuple)) and len(got) == len(wanted)
        return both and all(_near(one, other, tolerance) for one, other in zip(got, wanted))  # noqa: B905 - Python 3.9
    if not (issubclass(type(got), _NUMBERS) and isinstance(wanted, _NUMBERS)):
        return False
    if got != got and wanted != wanted:  # NaN: not to be told apart
        return True
    if got == wanted:
        return True
    return abs(wanted) != math.inf and abs(got - wanted) <= tolerance + _RELATIVE * abs(wanted)


def shown(value: Any) -> str:
    """A value for a message; an integer of too many digits for Python to print is one too."""
    try:
        return repr(value)[:_SHOWN]
    except ValueError:
        return f"a {type(value).__name__} too long to print"


def _pyramid(edge: float, height: float) -> int:
    """The surface of a square pyramid whose `height` is that of the apex above the base."""
    return round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))


def _digits(one: int, other: int) -> int:
    """The sum of the differences of digits, the shorter number padded with zeros."""
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width))  # noqa: B905 - Python 3.9
    return sum(abs(int(first) - int(second)) for first, second in pairs)
