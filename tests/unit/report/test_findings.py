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
    "selection_gains": {"by": "rubric", "selected": 0.75, "mean": 0.5, "p": 0.0004},
    "untrained_categories": {"names": "a, b", "count": 2, "measured": 6, "step": "before"},
    "training_in_blocks": {"runs": 3, "expected": 41.0, "p": 1 / 10_001, "category": "math", "longest": 40},
    "late_category": {"category": "c", "recency": 7.0, "last": 1.0, "share": 1 / 7, "p": 0.0314},
    "different_engines": {"lines": [["engine", "vllm", "transformers"], ["model: dtype", "bf16", "float32"]]},
    "difference_is_real": {
        "before": "one",
        "after": "three",
        "n": 50,
        "difference": 0.14,
        "low": 0.0086,
        "high": 0.2667,
        "gained": 9,
        "lost": 0,
        "p": 0.00390625,
    },
    "not_deterministic": {"texts": 3, "answers": 50, "flips": 1, "judged": 50, "high": 0.1035},
    "route_no_cheaper": {"ratio": 1.25, "measure": "seconds", "items": 40},
    "route_loses": {"difference": -0.0825, "p": 0.0312, "items": 40},
    "escalations_wasted": {"sent": 10, "helped": 1, "wasted": 6, "vain": 3, "harmed": 0},
    "escalations_harm": {"sent": 10, "helped": 1, "wasted": 3, "vain": 3, "harmed": 3},
}
SAID = {
    "different_engines": "engine: vllm against transformers; model: dtype: bf16 against float32.",
    "difference_is_real": "'three' minus 'one' is 14.0 points (95 % interval 0.9 to 26.7 points) over 50 items: 9 "
    "gained, 0 lost; p: 0.004.",
    "identical_candidates": "8 of 18 items have one text only in up to 3 answers, at temperature 0.8 as the engine "
    "reported it.",
    "rubric_blind": "Within items 'rubric' has an AUC of 0.482 (95 % interval 0.21 to 0.755) over 4 mixed items, "
    "p = 0.959. 0.5 is chance.",
    "selection_gains": "Selected 75.0 %, mean of the candidates 50.0 %, p < 0.001 that picks by 'rubric' are random.",
    "untrained_categories": "2 of the 6 categories that 'before' scores are in no row: a, b.",
    "training_in_blocks": "3 stretches of one category, where 41 would be expected of a shuffled file (p < 0.001); "
    "the longest has 40 rows of 'math'.",
    "late_category": "'c' has 100.0 % of the last tenth of the file and 14.3 % of the whole (7 times as much), "
    "p = 0.031 that this is chance.",
    "not_deterministic": "3 of 50 texts differ when asked again in batches of another size; 1 of 50 verdicts flip "
    "(up to "
    "10.3 % with 95 % confidence).",
    "route_no_cheaper": "On 40 items it costs 125.0 % of what the strong model alone costs, measured in seconds of "
    "generation.",
    "route_loses": "-8.2 points on the same 40 items (exact p = 0.031).",
    "escalations_wasted": "Of 10 items that were sent on both models solve 6; the second one helped with 1.",
    "escalations_harm": "Of 10 items that were sent on the second model has a lower score on 3 and a higher one on 1.",
}
VALUES |= {
    "judged_win_wrong": {"player": "mine", "opponent": "theirs", "count": 10, "wins": 12, "robbed": 9},
    "preferred_not_right": {
        "player": "mine",
        "opponent": "theirs",
        "categories": [
            {"category": "mc", "score": 0.86, "player": 39, "opponent": 50, "n": 50, "p": 0.0009765625},
            {"category": "math", "score": 0.9, "player": 21, "opponent": 24, "n": 50, "p": 0.648},
        ],
    },
    "judge_against_truth": {"kappa": 0.2211, "observed": 0.41, "n": 200},
    "category_too_small": {
        "categories": [{"category": "creativity", "n": 5, "decided": 3}, {"category": "x", "n": 1, "decided": 0}],
        "small": 20,
        "fewest": 6,
    },
    "ahead_not_shown": {
        "player": "mine",
        "opponent": "theirs",
        "categories": [{"category": "code", "score": 0.58, "p": 0.268, "holm": 0.536}],
    },
    "position_bias": {
        "judge": "j", "pairs": 36, "flips": 13, "p": 0.0002, "share": 0.6613, "first": 13, "second": 1
    },
    "one_order": {"pairs": 1},
    "length_bias": {"part": 45, "of": 45, "share": 1.0, "low": 0.921, "high": 1.0, "p": 5.7e-14},
    "lengths_far_apart": {
        "player": "mine",
        "opponent": "theirs",
        "categories": [{"category": "mc", "player": 969.2, "opponent": 12.4}],
    },
    "many_invalid": {"invalid": 4, "asked": 40, "low": 0.5, "high": 0.6},
    "judges_disagree": {
        "one": "a", "other": "b", "n": 24, "kappa": 0.0, "observed": 0.5, "low": 0.314, "high": 0.686
    },
    "category_of_one_kind": {
        "kinds": [{"category": "knowledge", "field": "subject", "value": "abstract_algebra"}]
    },
    "verdict_against_ratings": {"judge": "j", "against": 4, "games": 50},
    "judge_not_repeatable": {"judge": "j", "n": 12, "observed": 7 / 12, "low": 0.32, "high": 0.807, "kappa": None},
    "ties_both_wrong": {"player": "mine", "opponent": "theirs", "ties": 9, "count": 2, "known": 7},
    "ties_both_right": {"player": "mine", "opponent": "theirs", "ties": 9, "count": 5, "known": 7},
    "judge_missed": {"player": "mine", "opponent": "theirs", "ties": 9, "missed": 2, "wrong": 1, "one_right": 4},
}  # fmt: skip
SAID |= {
    "judged_win_wrong": "10 of 12 wins of mine are answers that the task's own scorer calls wrong; in 9 of them the "
    "answer of theirs is right.",
    "preferred_not_right": "mc: score 86.0 %, and yet 39 of 50 right answers of mine against 50 of theirs "
    "(exact p = 0.001); math: score 90.0 %, and yet 21 of 50 right answers of mine against 24 of theirs "
    "(exact p = 0.648).",
    "judge_against_truth": "Over 200 pairs that can be verified kappa is 0.221 (the same verdict in 41.0 %): below 0.4 "
    "is poor.",
    "category_too_small": "creativity: 5 pairs, 3 decided; x: 1 pair, 0 decided. Fewer than 6 decided pairs cannot "
    "give p below 0.05 however they go, and of fewer than 20 pairs a score means little.",
    "ahead_not_shown": "mine against theirs: code 58.0 % (sign test p = 0.268, after Holm 0.536).",
    "position_bias": "j: of 36 pairs judged in both orders 13 flip; 13 lean to the first place and 1 to the second "
    "(p < 0.001). The first-shown answer won 66.1 % of the games that someone won.",
    "one_order": "1 pair: how much of the score is the place of the answers cannot be known.",
    "length_bias": "In 45 of 45 decided pairs (100.0 %, 95 % interval 92.1 % to 100.0 %, p < 0.001) the longer answer "
    "won.",
    "lengths_far_apart": "Mean characters, mine against theirs: mc 969 against 12.",
    "many_invalid": "4 of 40 pairs have no verdict that can be read. The score would be 50.0 % if all of them were "
    "lost, 60.0 % if all were won.",
    "judges_disagree": "a and b say the same of 50.0 % of 24 pairs (95 % interval 31.4 % to 68.6 %); kappa is 0, below "
    "0.4.",
    "category_of_one_kind": "All pairs of knowledge have the subject 'abstract_algebra'.",
    "verdict_against_ratings": "In 4 of 50 games that j rated the winner is not the answer with the higher sum of "
    "ratings, or the sums of a tie differ.",
    "judge_not_repeatable": "j, asked once more about 12 pairs, gave the same verdict in 58.3 % (95 % interval 32.0 % "
    "to 80.7 %).",
    "ties_both_wrong": "In 2 of 7 ties that can be verified both answers are wrong.",
    "ties_both_right": "In 5 of 7 ties that can be verified both answers are right: there is nothing between mine and "
    "theirs to be won on these items.",
    "judge_missed": "In 4 pairs one side alone is right. In 2 of them the judge saw no difference or contradicted "
    "itself, in 1 it named the wrong side.",
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
