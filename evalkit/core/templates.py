"""Jinja2 for task files: sandboxed, strict about missing fields, and the same on every machine.

What would make two renderings of one row differ (`random`, `lipsum`) is taken away. The filter `digest` is added: the
first twelve hexadecimal digits of a text's sha256, an id for rows that have none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache, wraps

import jinja2
from jinja2 import meta
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Json

_ROW_ERRORS = (jinja2.TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError)
_TEXT_FILTERS = ("capitalize", "lower", "replace", "string", "striptags", "title", "trim", "upper", "wordcount")
"""Filters that make the text `None` of a null."""


class _NullPrinted(Exception):
    """A template would have written `None` where the row holds nothing."""


def is_template(text: str) -> bool:
    """Whether a text asks for anything to be filled in."""
    return "{{" in text or "{%" in text


def render(template: str, row: Mapping[str, Json], *, what: str, where: str, nulls: bool = True) -> str:
    """Fill `template` with the fields of `row`. One line break at the template's own end is dropped.

    `what` names the template (`prompt of task gsm8k`), `where` the row (`test.jsonl:12`), both for messages.
    Without `nulls` a null that would be printed as `None` does not fit either.
    Raises SpecError when the template itself is wrong, DataError when this row does not fit it.
    """
    compiled = _compiled(template, what, nulls)
    try:
        return compiled.render(row)
    except _NullPrinted as error:
        raise _null(template, row, what, where, nulls) from error
    except SecurityError as error:
        raise SpecError(f"the {what} is not allowed: {error}", hint="templates read the row's fields only") from error
    except jinja2.UndefinedError as error:
        raise _missing(error, row, what, where) from error
    except _ROW_ERRORS as error:
        raise DataError(f"the {what} does not fit this row: {error}", where=where) from error


@cache
def _compiled(template: str, what: str, nulls: bool) -> jinja2.Template:
    try:
        return _environment(nulls).from_string(template)
    except jinja2.TemplateSyntaxError as error:
        message = f"the {what} is not a valid template (its line {error.lineno}): {error.message}"
        raise SpecError(
            message, hint="the syntax is Jinja2: {{ field }}, {% for x in list %} ... {% endfor %}"
        ) from error


@cache
def _environment(nulls: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, autoescape=False, finalize=None if nulls else _not_null
    )
    environment.filters["digest"] = _digest
    if not nulls:
        for name in _TEXT_FILTERS:
            environment.filters[name] = _refusing_null(environment.filters[name])
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


@cache
def variables(template: str) -> frozenset[str]:
    """The names that a template uses and does not make itself. Raises jinja2.TemplateSyntaxError for what is none."""
    return frozenset(meta.find_undeclared_variables(_environment(nulls=True).parse(template)))


def check_syntax(template: str) -> None:
    """Raises jinja2.TemplateSyntaxError for what is no template, or uses a filter that is not there."""
    _environment(nulls=True).compile(template, raw=True)


def _digest(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"digest is of a text, not of {value!r:.40}")
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _not_null(value: Json) -> Json:
    if value is None:
        raise _NullPrinted
    return value


def _refusing_null(text_filter: Callable[..., Json]) -> Callable[..., Json]:
    """The filter, where the value that it takes is no null. What jinja2 marks it with (`pass_environment`) is kept."""

    @wraps(text_filter)
    def refusing(*given: Json, **options: Json) -> Json:
        marked = getattr(text_filter, "jinja_pass_arg", None) is not None
        _not_null(given[1 if marked else 0])
        return text_filter(*given, **options)

    return refusing


def _null(template: str, row: Mapping[str, Json], what: str, where: str, nulls: bool) -> DataError:
    used = meta.find_undeclared_variables(_environment(nulls).parse(template))
    empty = sorted(name for name in used if name in row and row[name] is None)
    found = f"the field '{empty[0]}' is null" if empty else f"a part of {', '.join(sorted(used))} is null"
    hint = "give the row a value, or leave the row out of the data"
    return DataError(f"{found}, and the {what} would print it as 'None'", hint=hint, where=where)


def _missing(error: jinja2.UndefinedError, row: Mapping[str, Json], what: str, where: str) -> DataError:
    named = re.match(r"'([^']+)' is undefined", str(error))
    message = f"no field '{named[1]}'" if named else str(error)
    return DataError(
        f"{message}, which the {what} uses", hint=f"the row has: {', '.join(sorted(map(str, row)))}", where=where
    )
