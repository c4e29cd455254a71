"""Screens about tasks: which there are, where their data is, what a model would get."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from evalkit.console.printing import add_row, say, section, table_of
from evalkit.console.terminal import console_for
from evalkit.core.digest import short
from evalkit.core.types import Json
from evalkit.report import numbers
from evalkit.report.text import one_line

if TYPE_CHECKING:
    from evalkit.taskview import Fetched, Shown


def show_tasks(tasks: Iterable[dict[str, Json]]) -> None:
    """The tasks that a spec may name: a line for each split, with its size and where it would come from."""
    table = table_of("task", "scorer", "license", "split", ">rows", "data")
    for task in tasks:
        names = [task["task"], task["scorer"], task["license"] or numbers.DASH]
        for split in task["splits"]:
            add_row(table, *names, split["split"], numbers.count(split["rows"]), split["source"])
            names = ["", "", ""]
    console_for(sys.stdout).print(table)


def show_fetched(found: Sequence[Fetched]) -> None:
    """Where each split is, or why it is nowhere and what to do."""
    for one in found:
        if one.problem:
            say(f"{one.task} ({one.split}): missing", "bold")
            say("\n".join(f"  {line}" for line in one.problem.splitlines()))
            say(f"  → {one.hint}")
        else:
            say(f"{one.task} ({one.split}): {numbers.plural(one.rows or 0, 'row')}, sha256 {one.sha256}", "bold")
            say(f"  {one.origin}")
            for path in one.paths:
                say(f"  {path}")


def show_prompt(shown: Shown) -> None:
    """What a model would get for one item, and what goes with it."""
    say(f"{shown.task}/{shown.id}  ({shown.split}, {numbers.of(shown.number, shown.of)})", "bold")
    stops = ", ".join(repr(stop) for stop in shown.stop) or "none"
    say(f"max_tokens {shown.max_tokens}, stop strings: {stops}, where the policy says nothing else")
    if shown.shots:
        say(f"{numbers.plural(len(shown.shots), 'example')}: {', '.join(one_line(shot, 60) for shot in shown.shots)}")
    if shown.rendered is None:
        _messages(shown)
    else:
        template = shown.rendered.template_sha256
        asked = f"chat template {short(template)}" if template else "plain text"
        section("prompt", shown.rendered.text, f"{numbers.count(shown.rendered.tokens)} tokens, {asked}")
    _format(shown, 1)
    for number, followup in enumerate(shown.followups, 2):
        section(f"turn {number}", followup, "after the answer to the one before")
        _format(shown, number)
    for continuation in shown.continuations:
        section("weighed, not written", continuation)
    if shown.rendered is None:
        say("")
        say("Tokens are counted, and the chat template is filled in, once a model is named: --model smollm2-135m.")


def _format(shown: Shown, turn: int) -> None:
    """The schema that the task has for the answer to a turn, one line for each of its keys."""
    schema = shown.formats[turn - 1] if shown.formats else None
    if schema is not None:
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        section("format", text, f"the answer{f' to turn {turn}' if shown.followups else ''} obeys this JSON Schema")


def _messages(shown: Shown) -> None:
    if shown.prompt.text is not None:
        section("text", shown.prompt.text, "to be continued")
    for number, message in enumerate(shown.prompt.messages, 1):
        begun = message.role == "assistant" and number == len(shown.prompt.messages)
        section(message.role, message.content, "the answer begins so" if begun else "")
