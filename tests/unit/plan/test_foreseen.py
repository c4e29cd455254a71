"""What a plan says of an expectation before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit import plan
from evalkit.plan import Foreseen, Sources
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec

Plan = Callable[..., dict[str, tuple[Foreseen, ...]]]

SPEC = """\
evalkit: 1
models:
  m: {engine: replay, file: rows.jsonl, fields: {id: id, text: id}}
  n: {engine: replay, file: rows.jsonl, fields: {id: id, text: other}}
suites: {six: {a: {task: toy}, b: {task: toy, sample: 4}}}
tasks:
  toy: {data: [{file: rows.jsonl}], id: '{{ id }}', prompt: 'Say {{ id }}', score: {exact: {answer: '{{ id }}'}}}
policies: {thrice: {temperature: 0.7, samples: 3}}
steps:
"""


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    def make(items: int, expect: str, before: str = "", policy: str = "greedy") -> dict[str, tuple[Foreseen, ...]]:
        rows = ({"id": str(index), "other": str(index)} for index in range(items))
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        steps = f"  one: {{bench: six, model: m{before}}}\n  two: {{bench: six, model: n, policy: {policy}}}\n"
        text = f"{SPEC}{steps}  verdict: {{compare: [one, two], expect: {expect}}}\n"
        (tmp_path / "spec.yaml").write_text(text)
        loaded = load_spec(tmp_path / "spec.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        store = SqliteStore(tmp_path / "store")
        found = {step.name: step.foreseen for step in plan.make(loaded.spec, Sources(store, notify=print)).steps}
        store.close()
        return found

    return make


def test_too_few_flips(planned: Plan) -> None:
    """18 items: six one-way flips, 33 points. A category of four can show nothing at all."""
    found = planned(18, "{all: {improves: true}, b: {worsens: true}}")
    assert found["verdict"] == (
        Foreseen("all", "improves: true", 18, True, 6, 6 / 18),
        Foreseen("b", "worsens: true", 4, False, 6, None),
    )
    assert (found["one"], found["two"]) == ((), ())


def test_several_answers_have_no_points(planned: Plan) -> None:
    """A flip is then no whole item."""
    [one] = planned(18, "{all: {improves: true}}", policy="thrice")["verdict"]
    assert (one.possible, one.visible) == (True, None)


def test_more_than_can_be_shown(planned: Plan) -> None:
    """With all 18 items gained the interval begins at 75 points: `better_by: 0.8` cannot be confirmed."""
    small, large = planned(18, "{all: {better_by: 0.7}, a: {better_by: 0.8}}")["verdict"]
    assert (small.possible, large.possible) == (True, False)


def test_a_margin_takes_many_items(planned: Plan) -> None:
    """687 for three points; where there are enough, nothing is said."""
    [one] = planned(50, "{all: {no_worse_than: 0.03}, a: {no_worse_than: 0.3}}")["verdict"]
    assert one == Foreseen("all", "no_worse_than: 0.03", 50, True, pairs_needed=687)


def test_a_score_out_of_reach(planned: Plan) -> None:
    """Wilson of 18 in 18 begins at 82.4 %, of 0 in 18 it ends at 17.6 %."""
    found = planned(18, "{a: {at_least: 0.83}}", before=", expect: {a: {at_least: 0.82}, b: {at_most: 0.1}}")
    assert found["one"] == (Foreseen("b", "at_most: 0.1", 4, False),)
    assert found["verdict"] == (Foreseen("a", "at_least: 0.83", 18, False),)
