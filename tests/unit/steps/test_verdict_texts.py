"""What is read from a judge's text: FastChat's letters and ratings, JSON in all its wrappings, and nothing else."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.verdicts import Game, verdict_of
from evalkit.steps.verdict_texts import Reading, Style, ends_with_verdict, rating_of, read, read_json, read_letters

_GOLDEN = Path(__file__).parents[3].resolve().parent / "shared" / "data" / "golden" / "mt_bench_judgments"
CRITERIA = ("correctness", "clarity")


def _golden_rows(name: str) -> list[dict[str, Any]]:
    path = _GOLDEN / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


# letters


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Both are good, but B forgets the edge case.\n\n[[A]]", "first"),
        ("Final Verdict: [[B]].", "second"),
        ("**[[C]]**", "tie"),
        ("[[A]] because it is right. Again: [[A]]", "first"),
        ("<think>Is it [[A]]? Rather [[B]].</think>\nSo: [[B]]", "second"),
        ("A and B differ [1], see [[2]]. My verdict: [[A]]", "first"),
    ],
)
def test_letters(text: str, said: str) -> None:
    assert Reading(said) == read("letters", text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the judge's answer has no verdict: it ends ''"),
        ("Answer A is better. [A]", "the judge's answer has no verdict: it ends 'Answer A is better. [A]'"),
        ("I choose [[D]]", "the judge's answer has no verdict: it ends 'I choose [[D]]'"),
        ("If short [[A]], if right [[B]]", "the judge's answer has several verdicts: [[A]] and [[B]]"),
        ("<think>It must be [[A]], or", "the judge's answer is all thinking, and that does not end"),
    ],
)
def test_no_letter(text: str, reason: str) -> None:
    assert Reading(None, reason) == read("letters", text)


@given(st.text(max_size=60), st.sampled_from("ABC"), st.text(max_size=60))
def test_a_letter_is_found_wherever_it_stands(before: str, letter: str, after: str) -> None:
    """In any surroundings without brackets of their own."""
    around = [part.replace("[", "(").replace("]", ")") for part in (before, after)]
    expected = {"A": "first", "B": "second", "C": "tie"}[letter]
    assert expected == read_letters(f"{around[0]}[[{letter}]]{around[1]}").said


# json


@pytest.mark.parametrize(
    ("winner", "said"),
    [
        ("A", "first"), ("B", "second"), ("TIE", "tie"), ("tie", "tie"), ("Tie", "tie"), ("C", "tie"), ("a", "first"),
        ("Response A", "first"), ("response_b", "second"), ("Answer B.", "second"), (" [[B]] ", "second"),
        ("Assistant A", "first"), ("answer_a", "first"),
    ],
)  # fmt: skip
def test_json_winner(winner: str, said: str) -> None:
    assert said == read_json(json.dumps({"winner": winner})).said


@pytest.mark.parametrize(
    "winner", ["", "D", "AB", "neither", "A or B", "both", "A is better, B is not", None, 1, True, ["A"], {"A": 1}]
)
def test_a_winner_that_is_none(winner: object) -> None:
    found = read_json(json.dumps({"winner": winner}))
    assert None is found.said
    assert f"the judge names a winner that is none: {json.dumps(winner)}" == found.reason


RATED = {
    "response_a": {"correctness": 9, "clarity": 7.5},
    "response_b": {"correctness": 4, "clarity": 8},
    "winner": "A",
    "reasoning": 'It says {"winner": "B"} for the other, and {this}.',
}


@pytest.mark.parametrize("wrap", ["{}", "```json\n{}\n```", "My verdict:\n{}\nThat is all {{done}}.", "{{ {}"])
def test_json_in_what_surrounds_it(wrap: str) -> None:
    """Fences, sentences, stray brackets; and no object within a text of the object."""
    expected = Reading("first", ratings={"correctness": (9.0, 4.0), "clarity": (7.5, 8.0)})
    assert expected == read("json", wrap.format(json.dumps(RATED, indent=1)), CRITERIA)


@pytest.mark.parametrize(
    "sides",
    [
        {"answer_a": {"Correctness": 9}, "answer_b": {"correctness": 4}},
        {"A": {"correctness": 9}, "B": {"correctness": 4}},
        {"ratings": {"A": {"correctness": 9}, "B": {"correctness": 4}}},
        {"Assistant_A": {"correctness": 9, "clarity": 8}, "Assistant_B": {"correctness": 4}},
        {"A": {"correctness": 9, "clarity": 11}, "B": {"correctness": 4, "clarity": 5}},
        {"A": {"correctness": 9, "clarity": "high"}, "B": {"correctness": 4, "clarity": True}},
    ],
)
def test_ratings(sides: dict[str, Any]) -> None:
    """Under the names that judges use; a criterion without two ratings from 1 to 10 has none."""
    assert {"correctness": (9.0, 4.0)} == read_json(json.dumps({**sides, "winner": "A"}), CRITERIA).ratings


def test_ratings_of_words_with_spaces() -> None:
    given_words = {"A": {"step_by_step": 2}, "B": {"Step by step": 3}, "winner": "B"}
    assert {"step by step": (2.0, 3.0)} == read_json(json.dumps(given_words), ["step by step"]).ratings


def test_the_last_object_with_a_winner_counts() -> None:
    text = 'Draft: {"winner": "A"}. On reflection: {"winner": "B", "reasoning": "x"}. {"note": 1}'
    assert "second" == read_json(text).said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "no object",
        '{"winner": "A", "Winner": "B"}',
        '{"verdict": "A"}',
        '{"winner": "A"',
        "{" * 50_000,
        '{"a":' * 5_000,
        "[" * 50_000,
    ],
)
def test_no_object(text: str) -> None:
    """Neither broken ones nor hostile ones break the reader."""
    found = read_json(text)
    assert None is found.said
    assert found.reason is not None
    assert found.reason.startswith("the judge's answer has no object with a `winner`: it ends ")
    assert len(found.reason) < 250


@given(st.text())
def test_any_text_is_read_or_has_a_reason(text: str) -> None:
    for style in ("letters", "json"):
        found = read(style, text)
        assert (found.said is None) == (found.reason is not None)


@given(
    st.dictionaries(
        st.text(max_size=8), st.none() | st.text(max_size=8) | st.lists(st.integers(), max_size=3), max_size=4
    ),
    st.sampled_from(["A", "B", "TIE"]),
)
def test_any_object_with_a_winner_is_read(others: dict[str, Any], winner: str) -> None:
    others = {key: value for key, value in others.items() if key.casefold() != "winner"}
    assert None is not read_json(f"So:\n{json.dumps({**others, 'winner': winner})}", CRITERIA).said


# ratings of single answers, and published judgments


@pytest.mark.parametrize(
    ("text", "rating"), [("Rating: [[7]]", 7.0), ("[[7.5]] or [[8]]", 7.5), ("I give [9]", 9.0), ("Rating: 7", None)]
)
def test_rating(text: str, rating: float | None) -> None:
    assert rating == rating_of(text)


def test_published_pairs() -> None:
    """GPT-4's judgments of pairs in both orders (FastChat, Apache-2.0): the winner on every row, the final verdicts."""
    rows = _golden_rows("pair.jsonl.gz")
    expected = json.loads((_GOLDEN / "expected.json").read_text())["pair"]
    verdicts = []
    for row in rows:
        games = []
        for name, swapped in (("g1", False), ("g2", True)):
            found = read("letters", row[f"{name}_judgment"])
            game = Game(swapped, found.said)
            games.append(game)
            meant = {"win": "model_1", "loss": "model_2", "tie": "tie", "invalid": "error"}[game.verdict]
            assert meant == row[f"{name}_winner"], row["question_id"]
        verdicts.append(verdict_of(games))
    counts = {name: verdicts.count(name) for name in ("win", "loss", "inconsistent", "invalid")}  # type: ignore[arg-type]
    assert counts == {
        "win": expected["model_1_wins"],
        "loss": expected["model_2_wins"],
        "inconsistent": expected["of_which_inconsistent"],
        "invalid": expected["with_error"],
    }
    assert verdicts.count("tie") + verdicts.count("inconsistent") == expected["ties"]
    assert len(rows) == expected["n"]


def test_published_ratings() -> None:
    """GPT-4's ratings of single answers: every number as it was published."""
    rows = _golden_rows("single.jsonl.gz")
    assert [row["score"] for row in rows] == [rating_of(row["judgment"]) for row in rows]
    assert len(rows) == json.loads((_GOLDEN / "expected.json").read_text())["single"]["n"]


def test_no_published_judgment_has_several_verdicts() -> None:
    """The one place where this reader is stricter than FastChat's changes nothing there."""
    texts = [row[f"{game}_judgment"] for row in _golden_rows("pair.jsonl.gz") for game in ("g1", "g2")]
    assert max(len(set(re.findall(r"\[\[[ABC]\]\]", text))) for text in texts) == 1


@pytest.mark.parametrize(
    ("style", "text", "said"),
    [
        ("json", '{"reasoning": "Some would say {"winner": "B"} here.", "winner": "A"}', None),
        ("json", '{"reasoning": "x", "checks": {"winner": "A"}, "winner": "B", "note": "cut o', None),
        ("json", '{"reasoning": "First point.\nSecond point.", "winner": "A"}', "first"),
        ("json", 'A set {a, b} of points. {"winner": "draw"}', "tie"),
        ("letters", "Answer A leaves a `<think>` tag in its text. [[A]]", "first"),
        ("letters", "<think>Perhaps [[A]], or", None),
        ("letters", "So [[ b ]].", "second"),
    ],
)
def test_what_a_judge_means_and_no_more(style: Style, text: str, said: str | None) -> None:
    """Inside of what is broken nothing is a verdict; a line break, a blank or a word about thinking breaks nothing."""
    assert read(style, text).said == said


@pytest.mark.parametrize(
    ("style", "text", "whole"),
    [
        ("letters", "[[B]] would be right only if that answer compiled; it does not, so the other", False),
        ("letters", "So it is [[B]].**", True),
        ("json", '```json\n{"winner": "A"}\n```', True),
        ("json", '{"winner": "A"} On second thought', False),
        ("letters", "no verdict", False),
    ],
)
def test_a_text_that_was_cut_off_ends_with_its_verdict_or_has_none(style: Style, text: str, whole: bool) -> None:
    assert ends_with_verdict(style, text) is whole
