"""Tests that compare a program's answers with those of a reference program, for inputs that the row lists.

Each list of inputs is one test. It holds the reference's text and runs beside the tests, where the program under test
cannot see it; both programs get arguments of their own. Where the reference itself fails, nobody's answer can be
judged: that is void.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from evalkit.core.errors import DataError
from evalkit.core.types import Json
from evalkit.scorers import agreement, mbpp_plus

_TEST = """\
# {label}
def _evalkit_compare():
    import builtins as _evalkit_b
    import copy as _evalkit_c
    _evalkit_rules, _evalkit_reference = {{"__name__": "rules"}}, {{"__name__": "reference"}}
    _evalkit_b.exec(_evalkit_b.compile({rules!r}, "<rules>", "exec", dont_inherit=True), _evalkit_rules)
    _evalkit_b.exec(_evalkit_b.compile({reference!r}, "<reference>", "exec", dont_inherit=True), _evalkit_reference)
    _evalkit_s = _evalkit_rules["shown"]
    _evalkit_known = {{"inf": _evalkit_b.float("inf"), "nan": _evalkit_b.float("nan")}}
    _evalkit_inputs = _evalkit_b.eval({inputs!r}, _evalkit_known)
    for _evalkit_n, _evalkit_a in _evalkit_b.enumerate(_evalkit_inputs, 1):
        try:
            _evalkit_w = _evalkit_reference[{entry_point!r}](*_evalkit_c.deepcopy(_evalkit_a))
        except _evalkit_b.BaseException as _evalkit_e:
            __void__("the reference fails on input %d: %s" % (_evalkit_n, _evalkit_b.type(_evalkit_e).__name__))
        _evalkit_g = {entry_point}(*_evalkit_c.deepcopy(_evalkit_a))
        if not _evalkit_rules["agree"](_evalkit_g, _evalkit_w, _evalkit_a, {oracle!r}, {atol!r}):
            return "input %d: f%s gave %s, the reference %s" % (
                _evalkit_n, _evalkit_s(_evalkit_b.tuple(_evalkit_a)), _evalkit_s(_evalkit_g), _evalkit_s(_evalkit_w))
    return ""
_evalkit_wrong = _evalkit_compare()
assert not _evalkit_wrong, _evalkit_wrong
"""


class Comparison(Struct, frozen=True):
    """What the lists of inputs of one row have in common. `values` names the rules for what JSON cannot hold."""

    id: str
    entry_point: str
    reference: str
    atol: float
    values: str | None
    where: str


def reference_test(name: str, inputs: Json, comparison: Comparison) -> str:
    """The test for the inputs of one field. Raises DataError where they are no lists of arguments."""
    if inputs == {}:  # MBPP+ 0.1 has one
        inputs = []
    if not isinstance(inputs, list) or not all(isinstance(given, list) for given in inputs):
        raise DataError(f"field '{name}' is no list of lists of arguments", where=comparison.where)
    if not comparison.entry_point.isidentifier():
        raise DataError("there is no function to call: the entry point is no name", where=comparison.where)
    mbpp = comparison.values == "mbpp_plus"
    return _TEST.format(
        label=f"{name}: {len(inputs)} inputs",
        rules=_rules(),
        reference=comparison.reference,
        inputs=repr(_restored(inputs, comparison) if mbpp else inputs),
        entry_point=comparison.entry_point,
        oracle=mbpp_plus.ORACLES.get(comparison.entry_point, "") if mbpp else "",
        atol=comparison.atol,
    )


def _restored(inputs: Sequence[Json], comparison: Comparison) -> list[list[Any]]:
    number = comparison.id.rpartition("/")[2]
    if not number.isdecimal():
        raise DataError(f"'{comparison.id}' is no id of MBPP+, such as Mbpp/2", where=comparison.where)
    try:
        return [mbpp_plus.arguments(int(number), given) for given in inputs]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"the inputs are not those of MBPP+: {error}", where=comparison.where) from error


@cache
def _rules() -> str:
    return inspect.getsource(agreement)
