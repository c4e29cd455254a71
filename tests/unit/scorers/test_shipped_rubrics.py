"""The rubrics that come with evalkit: what they give, against the same rules in plain Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit import assets
from evalkit.scorers.rubric import Marks, Rubric
from evalkit.scorers.rubric_answer import Answer
from evalkit.spec.load import LoadedRubric, check
from evalkit.spec.rubric_library import shipped_rubrics

FOLDER = assets.folder("specs") / "rubrics"
WORDS = ["bool", "int", "mutable", "immutable", "None", "empty", "before", "after", "exact", "LITERAL", "Exact"]
WORDS += ["zero", "negative", "edge", "case", "returns", "x"]
texts = st.lists(st.sampled_from([*WORDS, "é", '"', "\n"]), max_size=40).map(" ".join)
types = st.sampled_from(["int", "str", "", None])
IRS = st.fixed_dictionaries(
    {
        "intent": st.fixed_dictionaries({"summary": texts, "rationale": st.one_of(st.none(), texts)}),
        "signature": st.fixed_dictionaries(
            {
                "name": texts,
                "parameters": st.lists(st.fixed_dictionaries({"name": texts, "type_hint": types}), max_size=3),
                "returns": types,
            }
        ),
        "effects": st.lists(st.fixed_dictionaries({"description": texts}), max_size=4),
        "assertions": st.lists(st.fixed_dictionaries({"predicate": texts, "rationale": texts}), max_size=8),
    }
)


def shipped(name: str) -> Rubric:
    loaded = check(FOLDER / f"{name}.yaml")
    assert isinstance(loaded, LoadedRubric)
    assert loaded.diagnostics == ()
    assert loaded.rubric is not None
    return Rubric.make(loaded.rubric.options, name)


def points(ir: dict[str, Any], text: str) -> float:
    """The table of the source, written once more."""
    effects = [effect["description"] for effect in ir["effects"]]
    predicates = [one["predicate"].lower() for one in ir["assertions"]]
    markers = ("literal", "exact", "exactly", "LITERAL", "EXACT")
    careful = ("empty", "boundary", "edge case", "invalid", "error", "failure", "none", "zero", "negative")
    pairs = (("bool", "int"), ("mutable", "immutable"), ("none", "empty"), ("before", "after"))
    total = float(min(10 * len(predicates), 50))
    total += min(sum(map(len, effects)) / len(effects) / 10, 20) if effects else 0
    total += 15 * sum(any(word in effect for word in markers) for effect in effects)
    total += 10 * sum(all(word in text.lower() for word in pair) for pair in pairs)
    total += 10 * all(one["type_hint"] for one in ir["signature"]["parameters"])
    total += 10 * bool(ir["signature"]["returns"])
    total += 5 * sum(any(word in predicate for word in careful) for predicate in predicates)
    return total + 5 * (len(ir["intent"]["summary"]) > 20) + 5 * bool(ir["intent"]["rationale"])


VERBOSITY = shipped("verbosity")


@settings(max_examples=300, deadline=None)
@given(IRS)
def test_verbosity_is_the_table_of_its_source(ir: dict[str, Any]) -> None:
    """To the last digit but rounding, with no upper end."""
    text = json.dumps(ir, ensure_ascii=False)
    marks = VERBOSITY.judge(Answer(text), None, {})
    assert marks.value == pytest.approx(points(ir, text), abs=1e-9)


def test_verbosity_has_no_end() -> None:
    """Twenty effects with a marker are three hundred points."""
    ir = {"effects": [{"description": "exact"}] * 20}
    marks = VERBOSITY.judge(Answer(json.dumps(ir)), None, {})
    assert marks.criteria["literal markers"].points == 300.0
    assert (VERBOSITY.scale, VERBOSITY.turn, VERBOSITY.oracle) == ("raw", 1, False)


def judged(name: str, text: str) -> Marks:
    return shipped(name).judge(Answer(text), None, {})


def test_correctness() -> None:
    """A hundred points: what is complete, specific and covers all gets them, what is vague little."""
    whole = {
        "intent": {"summary": "Count", "rationale": "raises TypeError for what is no text"},
        "signature": {"name": "f", "parameters": [{"name": "x", "type_hint": "str"}], "returns": "int"},
        "effects": [{"description": "Returns 0 for an empty text; checks isinstance"}],
        "assertions": [{"predicate": "f('') == 0", "rationale": "the empty case"}],
    }
    assert judged("correctness", json.dumps(whole)).value == 1.0
    vague = {"signature": {"parameters": [{"name": "x"}]}, "effects": [{"description": "Does it well."}]}
    assert judged("correctness", json.dumps(vague)).value == 0.0
    weights = {one.name: one.of for one in shipped("correctness").criteria}
    assert list(weights.values()) == [10, 10, 20, 15, 15, 10, 10, 10]


def test_plain_code() -> None:
    """A careful program gets everything, a careless one what it does not do wrong."""
    careful = "```python\ndef f(x: list[int]) -> int:\n    return sum(x) if x else 0\n```"
    assert judged("plain_code", careful).value == 1.0
    careless = "```python\ndef f(x):\n    try:\n        print(eval(x))\n    except:\n        pass\n```"
    assert judged("plain_code", careless).value == 0.2
    assert judged("plain_code", "In words.").value == 0.0


def test_every_shipped_rubric_is_tested() -> None:
    """And says where it comes from or under which license it is."""
    assert set(shipped_rubrics()) == {"correctness", "plain_code", "verbosity"}
    assert all(Path(path).stem == name for name, path in shipped_rubrics().items())
