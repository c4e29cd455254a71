"""Published verdicts of judges, counted again: every figure that was published or can be worked out from them."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.runfolder import DiagnosisLock, PairingLock
from evalkit.core.types import Completion, Prompt, Sample
from evalkit.core.verdicts import Game, Said, Side, VerdictRow, verdict_of
from evalkit.scorers.answer import NumberScorer
from evalkit.scorers.choice import ChoiceScorer
from evalkit.stats.intervals import estimate
from evalkit.stats.judging import Tally, score
from evalkit.stats.length import length_control, longer_wins
from evalkit.steps.diagnoses.duel import Duel
from evalkit.steps.diagnoses.ties import Ties

GOLDEN = Path(__file__).parents[5].resolve() / "shared/data/golden"
LOCK = PairingLock(step="duel", player="a", opponent="b", judges=(), swap=False)
SUITES = ("math", "reasoning", "instruction")


def load(name: str) -> Any:
    path = GOLDEN / name
    if not path.is_file():
        pytest.skip(f"the golden results of ../shared/data are not here: {name}")
    if name.endswith(".json"):
        return json.loads(path.read_text("utf-8"))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# github.com/dkeviv/Cogumi-LLM: one order, the model always first.


def sides(suite: str, row: dict[str, Any]) -> tuple[Side, Side]:
    """Both answers, judged by the scorers that a task of this kind has."""
    scorer: NumberScorer | ChoiceScorer | None = None
    fields = dict(row)
    if suite == "math":
        scorer = NumberScorer({"answer": "{{ ground_truth.split('####')[-1] }}"})
    elif suite == "reasoning":
        scorer = ChoiceScorer({"options": "choices", "answer": "ground_truth", "by": "letter"})
        fields["choices"] = re.findall(r"^[A-E]\. (.*)$", row["prompt"], re.MULTILINE)
    sample = Sample("t", str(row["i"]), suite, "test", {}, Prompt(text=row["prompt"]), fields)
    found = []
    for side in ("a", "b"):
        text = row[f"response_{side}"]
        judged = (
            scorer.score(sample, Completion("k", text, "recorded", None, "0"), None) if scorer is not None else None
        )
        outcome = judged.outcome if judged is not None else "unscored"
        found.append(Side(side, side, "", len(text), None, outcome, judged.value if judged is not None else None))
    return found[0], found[1]


def compared(suite: str) -> list[VerdictRow]:
    rows = []
    for row in load(f"cogumi_judge/{suite}.jsonl.gz"):
        said: Said = {"A": "first", "B": "second", "TIE": "tie"}[row["judgment"]["winner"]]  # type: ignore[assignment]
        sides_rated = (row["judgment"]["response_a"], row["judgment"]["response_b"])
        ratings = {name: (sides_rated[0][name], sides_rated[1][name]) for name in sides_rated[0]}
        games = (Game(swapped=False, said=said, ratings=ratings),)
        player, opponent = sides(suite, row)
        rows.append(
            VerdictRow(
                step="duel", judge="gpt4", judge_model="gpt-4", category=suite, task=suite, split="test",
                id=str(row["i"]), sample=0, groups={}, player=player, opponent=opponent, verdict=verdict_of(games),
                games=games,
            )
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("suite", SUITES)
def test_wins_losses_and_ties(suite: str) -> None:
    """Score, win rate without ties, p, lengths, and how often the longer answer won."""
    known, duel = load("cogumi_judge/expected.json")[suite], Duel(LOCK)
    for row in compared(suite):
        duel.hear(row)
    found = duel.found()
    one, length = found.categories[suite], found.lengths[suite]
    assert (known["W"], known["L"], known["T"], 0) == one.tally
    assert known["score"] == pytest.approx(one.value)
    assert one.win_rate is not None
    assert known["decisive_win_rate"] == pytest.approx(one.win_rate.value)
    assert known["sign_test_two_sided_p"] == pytest.approx(one.p, rel=1e-9)
    assert (known["mean_chars_a"], known["mean_chars_b"]) == (
        pytest.approx(length.player), pytest.approx(length.opponent)
    )  # fmt: skip
    assert length.longer is not None
    assert known["decided_won_by_longer"] == [length.longer.rate.part, length.longer.rate.of]


@pytest.mark.parametrize(("suite", "against"), [("math", 0), ("reasoning", 1), ("instruction", 4)])
def test_verdicts_against_the_judges_own_ratings(suite: str, against: int) -> None:
    """Of fifty each; of instruction four are many."""
    duel = Duel(LOCK)
    for row in compared(suite):
        duel.hear(row)
    ratings = duel.found().ratings["gpt4"]
    assert (50, against) == (ratings.games, ratings.against)
    assert ["correctness", "completeness", "clarity", "relevance"] == list(ratings.criteria)
    assert (against >= 3) == any(one.code == "verdict_against_ratings" for one in duel.result().raised)


@pytest.mark.parametrize("suite", ["math", "reasoning"])
def test_who_is_right(suite: str) -> None:
    """Each of 200 answers is right or wrong as it was labelled by hand, read by the scorers alone; so the cross table
    and the paired test are those of the labels."""
    known, rows = load("cogumi_judge/expected.json")[suite], compared(suite)
    labels = [(row["a_correct"], row["b_correct"]) for row in load(f"cogumi_judge/{suite}.jsonl.gz")]
    assert labels == [(row.player.outcome == "pass", row.opponent.outcome == "pass") for row in rows]
    duel, ties = Duel(LOCK), Ties(DiagnosisLock(step="ties", diagnosis="ties", reads={"of": "duel"}))
    for row in rows:
        duel.hear(row)
        ties.hear(row)
    truth = duel.found().truths[suite]
    paired = known["paired"]
    assert [paired[name] for name in ("both", "only_a", "only_b", "neither")] == [
        truth.counts[name] for name in ("both right", "only player right", "only opponent right", "both wrong")
    ]
    assert known["mcnemar_exact_p"] == pytest.approx(truth.p, rel=1e-9)
    assert (known["a_correct"], known["b_correct"]) == (truth.player, truth.opponent)
    cross = next(one for one in ties.result().tables if one.name == "cross")
    cells = Counter[str]()
    names = {3: "a=ok|b=ok", 4: "a=ok|b=wrong", 5: "a=wrong|b=ok", 6: "a=wrong|b=wrong"}
    for line in cross.rows:
        verdict = {"win": "A", "loss": "B", "tie": "TIE"}.get(line[1])
        if verdict is not None:
            cells.update({f"{verdict}|{name}": line[place] for place, name in names.items() if line[place]})
    assert known["verdict_x_correctness"] == cells


def test_every_win_in_math_is_a_wrong_answer() -> None:
    """The finding of the highest severity: three wins, three wrong answers, each over a right one. Half of the wins in
    reasoning are no better founded: the judge prefers the side that solves less."""
    duel = Duel(LOCK)
    for suite in SUITES:
        for row in compared(suite):
            duel.hear(row)
    raised = {one.code: one for one in duel.result().raised}
    truths = duel.found().truths
    assert (3, 3, 4, 4) == (
        truths["math"].false_wins, truths["math"].robbed, truths["reasoning"].false_wins, truths["reasoning"].robbed
    )  # fmt: skip
    assert {"duel/15", "duel/39", "duel/46"} <= set(raised["judged_win_wrong"].samples)
    assert [("reasoning", 39, 50)] == [
        (one["category"], one["player"], one["opponent"]) for one in raised["preferred_not_right"].values["categories"]
    ]
    assert ["reasoning"] == [one["category"] for one in raised["lengths_far_apart"].values["categories"]]
    assert {"one_order", "length_bias"} <= set(raised)


# FastChat's MT-bench judgments: both orders.


def games_of(row: dict[str, Any]) -> tuple[Game, ...]:
    """Game 1 shows model_1 first, game 2 model_2; published is who won, not where it stood."""
    games = []
    for swapped, winner in ((False, row["g1_winner"]), (True, row["g2_winner"])):
        said: Said | None = None
        if winner == "tie":
            said = "tie"
        elif winner != "error":
            said = "first" if (winner == "model_1") != swapped else "second"
        games.append(Game(swapped=swapped, said=said))
    return tuple(games)


def test_both_orders() -> None:
    """36 of 37 pairs have a verdict; 13 of 17 that count as ties are pairs on which the two orders disagree, which we
    tell apart; the first-shown answer won 41 games, the second-shown one 21, ten were ties."""
    rows, known = load("mt_bench_judgments/pair.jsonl.gz"), load("mt_bench_judgments/expected.json")["pair"]
    duel = Duel(PairingLock(step="duel", player="a", opponent="b", judges=()))
    blank = Side("a", "phi-3", "", None, None, "unscored", None)
    for row in rows:
        games = games_of(row)
        duel.hear(
            VerdictRow(
                step="duel", judge="gpt4", judge_model="gpt-4", category="c", task="t", split="test",
                id=str(row["question_id"]), sample=0, groups={}, player=blank, opponent=blank,
                verdict=verdict_of(games), games=games,
            )
        )  # fmt: skip
    found = duel.found()
    one, place = found.categories["c"], found.places["gpt4"]
    assert (known["n"], known["with_error"], known["n_ok"]) == (one.pairs, one.invalid, one.tally.n)
    assert (known["model_1_wins"], known["model_2_wins"], known["of_which_inconsistent"]) == (
        one.tally.wins, one.tally.losses, one.tally.inconsistent
    )  # fmt: skip
    assert known["ties"] == one.tally.ties + one.tally.inconsistent
    assert known["score_model_1"] == pytest.approx(one.value)
    assert [known[f"games_{name}"] for name in ("first_position_won", "second_position_won", "tied")] == [
        place.first, place.second, place.ties
    ]  # fmt: skip
    assert (36, 13) == (place.pairs, place.flips)


# AlpacaEval's annotations and leaderboards.

_ANNOTATIONS = sorted(path.name for path in GOLDEN.glob("alpaca_eval_annotations/*.jsonl.gz")) or ["none.jsonl.gz"]


@pytest.mark.parametrize("name", _ANNOTATIONS)
def test_leaderboard(name: str) -> None:
    """Win rate and standard error to 1e-6, the counts, and how often the longer answer is preferred."""
    rows = load(f"alpaca_eval_annotations/{name}")
    known = load("alpaca_eval_annotations/expected.json")[name.removesuffix(".jsonl.gz")]
    read = [(_preferred(row["preference"]), row) for row in rows if row["preference"] is not None]
    worths = [worth for worth, _ in read]
    found = estimate(worths)
    assert found is not None
    assert (known["win_rate"], known["standard_error"]) == (
        pytest.approx(100.0 * found.value, abs=1e-6), pytest.approx(100.0 * (found.se or 0.0), abs=1e-6)
    )  # fmt: skip
    tally = Tally(
        sum(worth > 0.5 for worth in worths),
        sum(worth < 0.5 for worth in worths),
        sum(worth == 0.5 for worth in worths),
    )
    assert (known["n_wins"], known["n_wins_base"], known["n_draws"], known["n_total"]) == (*tally[:3], tally.n)
    assert known["unparsed"] == len(rows) - tally.n
    discrete = score(tally)
    assert discrete is not None
    assert known["discrete_win_rate"] == pytest.approx(100.0 * discrete.value, abs=1e-6)
    longer = longer_wins([row["len_2"] - row["len_1"] for _, row in read], worths)
    prefers = longer.rate.value if longer is not None else None
    assert known["prob_prefer_longer"] == (None if prefers is None else pytest.approx(prefers, abs=1e-6))


def _preferred(preference: float) -> float:
    """The older judge writes a draw as 0."""
    return 0.5 if preference == 0 else preference - 1.0


def test_control_of_length_is_not_theirs() -> None:
    """Their model knows the difficulty of items from other models. Ours moves the same way: what is short rises."""
    controlled: dict[str, float] = {}
    for name in ("gpt-3.5-turbo-1106_concise", "gpt-3.5-turbo-1106_verbose"):
        rows = load(f"alpaca_eval_annotations/weighted_alpaca_eval_gpt4_turbo__{name}.jsonl.gz")
        read = [row for row in rows if row["preference"] is not None]
        found = length_control(
            [row["len_2"] - row["len_1"] for row in read], [_preferred(row["preference"]) for row in read]
        )
        assert found is not None
        assert found.gamma > 0.0
        controlled[name] = found.rate
    raw = {"gpt-3.5-turbo-1106_concise": 0.07415865, "gpt-3.5-turbo-1106_verbose": 0.1276317}
    assert all(controlled[name] > raw[name] for name in raw)  # both are shorter than the baseline
