"""A page → Markdown, by a Jinja2 template of `reports/templates`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit import assets
from evalkit.core.digest import short
from evalkit.core.errors import SpecError
from evalkit.core.types import Prompt, TestResult, Weighed
from evalkit.report import diagnosed, numbers, text
from evalkit.report.excerpts import name_of
from evalkit.report.page import Page, portable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

_SUFFIX = ".md.j2"


def render(page: Page, template: str = "run") -> str:
    """The report in Markdown. The same page always gives the same text."""
    from jinja2 import TemplateNotFound

    try:
        body = environment().get_template(f"{template}{_SUFFIX}").render(page=page)
    except TemplateNotFound as error:
        raise SpecError(
            f"there is no report template '{error.name}'", hint=f"templates: {', '.join(_templates())}"
        ) from error
    return body.strip("\n") + "\n"


def _templates() -> list[str]:
    found = (path.name.removesuffix(_SUFFIX) for path in _folder().glob(f"*{_SUFFIX}"))
    return sorted(name for name in found if not name.startswith("_"))


def _folder() -> Path:
    return assets.folder("reports") / "templates"


def environment() -> Environment:
    """Templates run in a sandbox, may not use a name that does not exist, and get untrusted text through filters."""
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, not HTML: `cell` and `fence` do it
    )
    made.filters.update(
        cell=text.cell,
        code=text.code,
        fence=text.fence,
        pct=numbers.pct,
        score=numbers.score,
        interval=numbers.interval,
        seconds=numbers.seconds,
        limits_s=numbers.limits_s,
        count=numbers.count,
        number=numbers.number,
        p=numbers.p,
        points=numbers.points,
        amount=numbers.amount,
        rate=numbers.rate,
        usd=numbers.usd,
        plural=numbers.plural,
        short=short,
        portable=portable,
        prompt=prompt_text,
        sample_name=name_of,
        test_lines=test_lines,
        weighed_lines=weighed_lines,
    )
    made.filters["table_cell"] = diagnosed.table_cell
    made.globals.update(per=numbers.per, of=numbers.of, dash=numbers.DASH)
    return made


def prompt_text(prompt: Prompt) -> str:
    """What the model was asked; the roles are named where there is more than the user's message."""
    if prompt.text is not None:
        return prompt.text
    if len(prompt.messages) == 1:
        return prompt.messages[0].content
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in prompt.messages)


def weighed_lines(likelihoods: Sequence[Weighed]) -> str:
    """Each continuation after its log-probability, in the order of the task, its tokens behind it."""
    return "\n".join(
        f"{one.logprob:10.4f}  {json.dumps(one.continuation, ensure_ascii=False)}"
        + (f"  ({numbers.plural(one.tokens, 'token')}{', greedy' if one.greedy else ''})" if one.tokens else "")
        for one in likelihoods
    )


def test_lines(tests: Sequence[TestResult]) -> str:
    """Each test with what went wrong indented below it."""
    lines: list[str] = []
    for test in tests:
        lines.append(test.label)
        lines += [f"    {line}" for line in test.message.splitlines()]
    return "\n".join(lines)
