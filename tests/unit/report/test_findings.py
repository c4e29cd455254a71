"""The words of findings: each code has some, and none says what it has no number for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from evalkit import assets
from evalkit.core.diagnosis import Diagnosis, Raised
from evalkit.core.types import Json
from evalkit.report.findings import catalogue, compose
from evalkit.report.render import environment

PACKAGE = Path(__file__).parents[3] / "evalkit"
VALUES: dict[str, dict[str, Json]] = {
    "identical_candidates": {"identical": 8, "items": 18, "answers": 3, "temperature": 0.8},
    "rubric_blind": {"by": "rubric", "auc": 0.4821, "low": 0.21, "high": 0.755, "p": 0.9588, "mixed": 4},
    "not_deterministic": {"texts": 3, "answers": 50, "flips": 1, "judged": 50, "high": 0.1035},
}
SAID = {
    "identical_candidates": "8 of 18 items have one text only in up to 3 answers, at temperature 0.8 as the engine "
    "reported it.",
    "rubric_blind": "Within items 'rubric' has an AUC of 0.482 (95 % interval 0.21 to 0.755) over 4 mixed items, "
    "p = 0.959. 0.5 is chance.",
    "not_deterministic": "3 of 50 texts differ when asked again in batches of another size; 1 of 50 verdicts flip "
    "(up to "
    "10.3 % with 95 % confidence).",
}


def raised_codes() -> set[str]:
    """Every code that some module raises."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Raised":
                codes = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
                found |= {code for code in codes if isinstance(code, str)}
    return found


def test_every_code_has_words_and_every_word_a_code() -> None:
    """Nothing can be raised that the catalogue does not know, and nothing stands in it for no reason."""
    assert raised_codes() == set(catalogue())


@pytest.mark.parametrize("code", sorted(VALUES))
def test_evidence_is_made_of_the_values(code: str) -> None:
    """Numbers are rounded at print, by the filters of the report."""
    [found] = compose({}, {"s": [Raised(code, VALUES[code], ("s/a",), 1)]}, environment())
    assert found.evidence == SAID[code]
    assert (found.step, found.samples, found.values) == ("s", ("s/a",), VALUES[code])


def test_an_unknown_temperature_is_said() -> None:
    """Not left out, and no number made up."""
    values = {**VALUES["identical_candidates"], "temperature": None}
    [found] = compose({}, {"s": [Raised("identical_candidates", values)]}, environment())
    assert found.evidence.endswith("the temperature that was used is not known.")


def test_the_gravest_comes_first_and_nothing_twice() -> None:
    """What a step raises of itself and its diagnosis as well is one finding; another step's is another."""
    again = Raised("identical_candidates", VALUES["identical_candidates"])
    noise = Raised("not_deterministic", VALUES["not_deterministic"])
    diagnoses = {
        "spread": Diagnosis(diagnosis="diversity", of=("s",), metrics={}, raised=(noise, again)),
        "other": Diagnosis(diagnosis="diversity", of=("t",), metrics={}, raised=(again,)),
    }
    found = compose(diagnoses, {"s": [again]}, environment())
    assert [(one.code, one.step) for one in found] == [
        ("identical_candidates", "s"),
        ("identical_candidates", "other"),
        ("not_deterministic", "spread"),
    ]


def test_hostile_values_stay_text() -> None:
    """A name that a spec chose is a value like any other: never a template."""
    values = {**VALUES["rubric_blind"], "by": "{{ 7 * 7 }}\n# x"}
    [found] = compose({}, {"s": [Raised("rubric_blind", values)]}, environment())
    assert "{{ 7 * 7 }} # x" in found.evidence


def test_words_hold_no_markup() -> None:
    """They stand in a report, on a terminal and in JSON."""
    text = (assets.folder("reports") / "findings.yaml").read_text("utf-8")
    assert [character for character in "`*<>" if character in text.replace(">-\n", "\n")] == []
