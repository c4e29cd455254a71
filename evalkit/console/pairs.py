"""The screen of a pair: what was asked, both answers, and what each judge said of them in each game."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from evalkit.console.printing import section
from evalkit.console.terminal import console_for
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import Game, Side, VerdictRow
from evalkit.report import numbers
from evalkit.report.text import one_line, visible

if TYPE_CHECKING:
    from evalkit.report.compared import ComparedPair

_STYLES = {"win": "bold green", "loss": "bold red", "tie": "bold", "void": "bold yellow"}


def show_pairs(pairs: Sequence[ComparedPair]) -> None:
    """Every pair with the verdicts about it; those of several judges about one pair stand together."""
    for _, group in groupby(pairs, lambda one: one.verdict.sample):
        some = list(group)
        first = some[0]
        _title(first.verdict)
        known = first.player or first.opponent
        if known is not None:
            from evalkit.report.render import prompt_text

            section("prompt", prompt_text(known.prompt))
        _answer("player", first.verdict.player, first.player)
        _answer("opponent", first.verdict.opponent, first.opponent)
        for one in some:
            _verdict(one.verdict)


def _title(row: VerdictRow) -> None:
    from rich.text import Text

    nth = f", answer {row.sample}" if row.sample else ""
    about = f"  {row.task} ({row.split}), {row.player.model} against {row.opponent.model}{nth}"
    text = Text.assemble((visible(f"{row.step}/{row.id}"), "bold"), visible(about))
    console_for(sys.stdout).print(text, soft_wrap=True)


def _answer(role: str, side: Side, row: SampleRow | None) -> None:
    text = row.text if row is not None and row.text is not None else "(no answer)"
    cut = ", cut off at max_tokens" if side.truncated else ""
    section(f"{role}: {side.model}", text, f"{side.outcome}, {numbers.count(side.tokens)} tokens{cut}")


def _verdict(row: VerdictRow) -> None:
    from rich.text import Text

    console = console_for(sys.stdout)
    why = f"  {one_line(row.reason, 300)}" if row.reason else ""
    console.print()
    said = Text.assemble((row.verdict, _STYLES.get(row.verdict, "bold yellow")), visible(f"  {row.judge}{why}"))
    console.print(said, soft_wrap=True)
    for game in row.games:
        section(_called(game), game.text or game.reason, _read(game))


def _called(game: Game) -> str:
    stood = "opponent first" if game.swapped else "player first"
    return f"{stood}, asked again" if game.retest else stood


def _read(game: Game) -> str:
    rated = ", ".join(
        f"{name} {numbers.amount(one)} to {numbers.amount(other)}" for name, (one, other) in game.ratings.items()
    )
    why = game.reason if game.text and game.reason else ""
    return "; ".join(part for part in (game.verdict, rated, why) if part)
