"""The screen of a plan: what would be asked, what the store has, what it costs at most, what it cannot show."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from evalkit.console.printing import add_row, say, table_of
from evalkit.console.terminal import console_for
from evalkit.core.digest import short
from evalkit.report import numbers

if TYPE_CHECKING:
    from rich.table import Table

    from evalkit.plan import Foreseen, Plan, PlannedStep
    from evalkit.plan.planned import PlannedJudging


def show_plan(plan: Plan) -> None:
    """What a run would do and what the store already has."""
    console = console_for(sys.stdout)
    for step in plan.steps:
        after = f", after {', '.join(step.needs)}" if step.needs else ""
        say(f"Step {step.name} ({step.verb}{after}), key {short(step.key)}", "bold")
        if step.tasks:
            console.print(_plan_table(step))
            say(f"  why: {step.why}")
            say(f"  {_tokens(step)}{_programs(step)}")
        else:
            say(f"  {step.why}")
        for judging in step.judging:
            say(f"  {_judging(judging)}")
        for one in step.foreseen:
            say(f"  expects {_foreseen(one)}")
        say("")
    judges = [one for step in plan.steps for one in step.judging]
    requests = sum(step.requests for step in plan.steps) + sum(one.requests for one in judges)
    cached = sum(step.cached for step in plan.steps) + sum(one.cached for one in judges)
    say(
        f"{numbers.plural(len(plan.steps), 'step')}, {numbers.plural(requests, 'request')}: "
        f"{numbers.count(cached)} in the store, {numbers.count(requests - cached)} to ask",
        "bold",
    )
    cost = _cost(plan)
    if cost:
        say(cost)


def _cost(plan: Plan) -> str:
    """What is to ask costs at most, where there is a price or a budget; of whom that is not known."""
    budget = plan.spec.budget.usd
    if budget is None and not plan.spec.prices:
        return ""
    unpriced = dict.fromkeys(name for step in plan.steps for name in step.unpriced)
    said = f"cost: at most {numbers.usd(math.fsum(step.usd for step in plan.steps))}"
    if unpriced:
        said += f", without {', '.join(unpriced)}, of which it is not known before"
    return said if budget is None else f"{said}; the budget is {numbers.usd(budget)}"


def _foreseen(one: Foreseen) -> str:
    """What is known of an expectation before the run."""
    about = f"{one.expected} in {one.category}: with {numbers.plural(one.items, 'item')}"
    if one.pairs_needed is not None:
        needed = numbers.count(one.pairs_needed)
        return f"{about} it will most likely be inconclusive; about {needed} are needed where one item in ten differs"
    if not one.possible:
        return f"{about} no outcome can confirm it"
    points = "" if one.visible is None else f" ({numbers.points(one.visible)})"
    return f"{about}, fewer than {one.flips} one-way flips{points} cannot reach p < 0.05"


def _plan_table(step: PlannedStep) -> Table:
    routed = any(task.model for task in step.tasks)
    models = ("model",) if routed else ()
    table = table_of("  category", "task", *models, ">items", ">requests", ">in the store", ">to ask")
    for task in step.tasks:
        counts = (task.items, task.requests, task.cached, task.requests - task.cached)
        asked = (f"{task.model}{', at most' if task.at_most else ''}",) if routed else ()
        add_row(table, f"  {task.category}", f"{task.task} ({task.split})", *asked, *map(numbers.count, counts))
    return table


def _tokens(step: PlannedStep) -> str:
    asked = f"{'' if step.tokens_exact else 'about '}{numbers.count(step.prompt_tokens)} prompt tokens"
    if step.continuations and not step.max_completion_tokens:
        return f"{asked}, {numbers.plural(step.continuations, 'continuation')} to weigh, no answer tokens"
    weighed = f", {numbers.plural(step.continuations, 'continuation')} to weigh" if step.continuations else ""
    return f"{asked}{weighed}, at most {numbers.count(step.max_completion_tokens)} answer tokens"


def _judging(one: PlannedJudging) -> str:
    most = "at most " if one.candidates_ahead else ""
    about = "about " if not one.tokens_exact and not most else ""
    answers = (
        f"{numbers.plural(one.continuations, 'continuation')} to weigh"
        if one.continuations
        else f"at most {numbers.count(one.max_completion_tokens)} answer tokens"
    )
    noun = "game" if one.compares else "question"
    asked = f"judge {one.judge} ({one.model}): {most}{numbers.plural(one.requests, noun)}"
    if one.cached == one.requests:
        return f"{asked}, every answer is stored"
    tokens = f"{most}{about}{numbers.count(one.prompt_tokens)} prompt tokens"
    return f"{asked}, {numbers.count(one.cached)} in the store; {tokens}, {answers}"


def _programs(step: PlannedStep) -> str:
    said = ""
    if step.programs_cached is not None:
        said += f"; {numbers.plural(step.programs_cached, 'program')} executed already"
    if step.references:
        said += f"; {numbers.plural(step.references, 'reference program')}"
        said += "" if step.references_cached is None else f", {numbers.count(step.references_cached)} timed already"
    return said
