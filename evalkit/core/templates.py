"""Jinja2 for task files: sandboxed, strict about missing fields, and the same on every machine.

What would make two renderings of one row differ (`random`, `lipsum`) is taken away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Json

_ROW_ERRORS = (jinja2.TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError)


def is_template(text: str) -> bool:
    """Whether a text asks for anything to be filled in."""
    return "{{" in text or "{%" in text


def render(template: str, row: Mapping[str, Json], *, what: str, where: str) -> str:
    """Fill `template` with the fields of `row`. One line break at the template's own end is dropped.

    `what` names the template (`prompt of task gsm8k`), `where` the row (`test.jsonl:12`), both for messages.
    Raises SpecError when the template itself is wrong, DataError when this row does not fit it.
    """
    compiled = _compiled(template, what)
    try:
        return compiled.render(row)
    except SecurityError as error:
        raise SpecError(f"the {what} is not allowed: {error}", hint="templates read the row's fields only") from error
    except jinja2.UndefinedError as error:
        raise _missing(error, row, what, where) from error
    except _ROW_ERRORS as error:
        raise DataError(f"the {what} does not fit this row: {error}", where=where) from error


@cache
def _compiled(template: str, what: str) -> jinja2.Template:
    try:
        return _environment().from_string(template)
    except jinja2.TemplateSyntaxError as error:
        message = f"the {what} is not a valid template (its line {error.lineno}): {error.message}"
        raise SpecError(
            message, hint="the syntax is Jinja2: {{ field }}, {% for x in list %} ... {% endfor %}"
        ) from error


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


def _missing(error: jinja2.UndefinedError, row: Mapping[str, Json], what: str, where: str) -> DataError:
    named = re.match(r"'([^']+)' is undefined", str(error))
    message = f"no field '{named[1]}'" if named else str(error)
    return DataError(
        f"{message}, which the {what} uses", hint=f"the row has: {', '.join(sorted(map(str, row)))}", where=where
    )
