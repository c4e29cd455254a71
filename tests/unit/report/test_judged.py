"""What reports say of a `judge` step: the examples, and sentences that must not say more than the numbers do."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterable
from pathlib import Path

import jsonschema
import msgspec
import pytest

from evalkit.core.runfolder import JudgeLock, Lock, PairingLock, RunRecord
from evalkit.core.types import SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.report import figures
from evalkit.report.judged import headline, insight, unsupported
from evalkit.report.judged_answers import actions, questions
from evalkit.report.write import write
from evalkit.steps.diagnoses.duel import Duel
from evalkit.steps.diagnoses.duel_found import DuelFound

Build = Callable[..., VerdictRow]
Golden = Callable[[Path, str], None]
ROOT = Path(__file__).resolve().parents[3]
LOCK = PairingLock(
    step="duel",
    player="player-answers",
    opponent="opponent-answers",
    judges=(JudgeLock(judge="j", model="u", prompt="0" * 64, questions=()),),
)


def found(rows: Iterable[VerdictRow]) -> DuelFound:
    made = Duel(LOCK)
    for row in rows:
        made.hear(row)
    return made.found()


def some(build: Build, category: str, wins: int, losses: int, ties: int = 0, right: str = "??") -> list[VerdictRow]:
    said = ["win"] * wins + ["loss"] * losses + ["tie"] * ties
    return [build(one, category=category, id=f"{category}{n}", right=right) for n, one in enumerate(said)]


@pytest.mark.parametrize(("template", "name"), [("session", "session.md"), ("run", "judged.md")])
def test_the_examples(
    template: str, name: str, tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole pages, kept under reports/examples for readers; without figures, which need a package."""
    monkeypatch.setattr(figures, "draw_all", lambda folder, diagnoses: {})
    runpy.run_path(str(ROOT / "tests/data/make_judging_example.py"))["write"](tmp_path, template)
    write(tmp_path)
    report = (tmp_path / "report.md").read_text("utf-8")
    if template == "run":  # what stands after it is that of any run
        report = report[report.index("## Judged against") : report.index("## Scores of step")]
    golden(ROOT / "reports/examples" / name, report.rstrip("\n") + "\n")
    schema = json.loads((ROOT / "evalkit/report/schema/results.schema.json").read_text("utf-8"))
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(results, schema)
    assert ["duel", "ties"] == sorted(results["diagnoses"])
    assert "judged_win_wrong" == results["findings"][0]["code"]


def test_beats_needs_holm(verdict: Build) -> None:
    """24 to 16 is no win, 33 to 7 is one; 12 to 2 alone is one, and among many tests it may be none."""
    told = headline(found(some(verdict, "code", 24, 16, 10) + some(verdict, "chat", 33, 7, 10)))
    assert told == (
        "In the eyes of the judge j, **mine** beats **theirs** in chat; in code a lead is not shown either way."
    )
    rows = some(verdict, "small", 9, 1)  # p = 0.021
    assert "beats" in headline(found(rows))
    for n in range(3):
        rows += some(verdict, f"other{n}", 5, 5)
    assert "beats" not in headline(found(rows))


def test_a_loss_and_nothing(verdict: Build) -> None:
    assert headline(found(some(verdict, "code", 1, 20))) == (
        "In the eyes of the judge j, **mine** loses to **theirs** in code."
    )
    told = headline(found(some(verdict, "code", 3, 3)))
    assert told == "In the eyes of the judge j, in code a lead of **mine** against **theirs** is not shown either way."
    assert "no pair has a verdict" in headline(found([verdict(verdict="void", games=())]))


def test_a_lead_of_wrong_answers_beats_nobody(verdict: Build) -> None:
    """However clear: the scorer says that the other side has more right answers."""
    rows = some(verdict, "mc", 43, 7, right="-+")
    assert headline(found(rows)) == (
        "In the eyes of the judge j, **mine** is preferred to **theirs** in mc although it has fewer right answers "
        "there."
    )


def insights(rows: list[VerdictRow]) -> dict[str, str]:
    known = found(rows)
    return {name: insight(one, known.truths.get(name), known, name) for name, one in known.categories.items()}


def test_one_insight_for_each_category(verdict: Build) -> None:
    """The first rule that holds."""
    rows = some(verdict, "tiny", 2, 1, 2) + some(verdict, "code", 24, 16, 10) + some(verdict, "chat", 33, 7, 10)
    rows += some(verdict, "mc", 43, 7, right="-+") + some(verdict, "ties", 3, 12, 35, right="++")
    rows += [*some(verdict, "good", 30, 5, right="+-"), verdict(category="gone", verdict="void", games=())]
    assert insights(rows) == {
        "tiny": "too small: 5 pairs, 3 decided, whatever the score is",
        "code": "no lead is shown: p = 0.268; 50 items show 17.3 points and more from parity",
        "chat": "mine is preferred, and so is what is longer (33 of 40); nothing is verified",
        "mc": "the judge prefers mine, and the scorer does not: 0 against 50 of 50 right",
        "ties": "mostly ties (70.0 %), 35 of 35 of them two right answers; p = 0.035 alone, 0.105 among all categories",
        "good": "mine is preferred beyond chance; scorer: 35 against 0 of 35 right",
        "gone": "no pair has a verdict",
    }


def test_claims_that_are_not_supported(verdict: Build) -> None:
    claims = list(unsupported(found(some(verdict, "code", 24, 16, 10)), LOCK))
    assert claims[0] == (
        "That mine is better than theirs in code: 58.0 %, p = 0.268, after Holm 0.268; a score so far from parity "
        "takes about 243 items to be shown."
    )
    assert any("hidden ability" in claim for claim in claims)
    shown = list(unsupported(found(some(verdict, "chat", 40, 2)), msgspec.structs.replace(LOCK, swap=False)))
    assert not any("better" in claim for claim in shown)
    assert "That the order of the answers did not decide: each pair was judged in one order." in shown


def test_the_scorer_may_show_what_the_judge_does_not(verdict: Build) -> None:
    rows = some(verdict, "math", 5, 8, 20, right="-+")
    [claim, *_] = unsupported(found(rows), LOCK)
    assert claim.endswith("The task's own scorer does show it (0 against 33 of 33 right, p < 0.001).")
    assert insights(rows)["math"].endswith("; the scorer shows one: 0 against 33 of 33 right, p < 0.001")


def test_questions(verdict: Build) -> None:
    rows = some(verdict, "math", 3, 12, 34, right="++") + some(verdict, "math2", 0, 0, 1, right="--")
    asked = dict(questions(found(rows), None))
    assert list(asked) == [
        "Does mine outperform theirs?",
        "Why are so many pairs ties (math 69.4 %, math2 100.0 %)?",
        "Are there enough pairs?",
        "Does the place or the length of an answer decide?",
        "Would the judge say the same again?",
    ]
    assert (
        "of 34 verifiable ties 34 are two right answers"
        in asked["Why are so many pairs ties (math 69.4 %, math2 100.0 %)?"]
    )
    assert asked["Would the judge say the same again?"] == "Not known: no pair was asked once more."


def test_what_to_do_next(verdict: Build) -> None:
    known = found(some(verdict, "code", 24, 16, 10) + some(verdict, "tiny", 2, 1))
    done = list(actions(known, msgspec.structs.replace(LOCK, swap=False), None))
    assert done == [
        "code: about 243 items would show a score such as 58.0 %, if it is real.",
        "tiny: ask 20 pairs or many more; until then leave it out of every claim.",
        "code, tiny: nothing says who is right. A second judge, or a task with a scorer, would.",
        "Judge both orders.",
        "Ask a share of the pairs once more (`retest`), so that it is known whether the judge repeats itself.",
    ]


def folder_of(place: Path, verdicts: list[VerdictRow], rows: list[SampleRow], lock: Lock, template: str) -> str:
    (place / "run.json").write_bytes(msgspec.json.encode(RunRecord(id="r", state="complete", template=template)))
    (place / "evalkit.lock").write_bytes(msgspec.json.encode(lock))
    (place / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    (place / "verdicts.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in verdicts))
    write(place)
    return (place / "report.md").read_text("utf-8")


@pytest.mark.parametrize("template", ["run", "session"])
def test_a_panel_with_warnings(template: str, tmp_path: Path, verdict: Build, row: Callable[..., SampleRow]) -> None:
    """Each judge by itself, how they agree, and what must stand beside the numbers."""
    verdicts = [
        verdict(said, id=f"i{n}", judge=judge, judge_model=f"m-{judge}", category="c|x")
        for n in range(24)
        for judge, said in (("a", "win"), ("b", "win"), ("c", "tie" if n % 2 else "loss"))
    ]
    lock = Lock(pairings=(msgspec.structs.replace(LOCK, warnings=("The judge is of a contestant's family.",)),))
    report = folder_of(tmp_path, verdicts, [row()], lock, template)
    assert "In the eyes of most of the judges a, b and c, **mine** beats **theirs** in c\\|x." in report
    assert "> The judge is of a contestant's family." in report
    assert "| majority |  | 24 | 24 | 0 | 0 |" in report
    assert "### Judge by judge" in report
    assert "| a | b | 24 | 100.0 % | 86.2 to 100.0 % | – |" in report
    assert "| a | c | 24 | 0.0 % | 0.0 to 13.8 % | 0 |" in report


@pytest.mark.parametrize("template", ["run", "session"])
def test_a_step_that_has_no_verdict_yet(template: str, tmp_path: Path, row: Callable[..., SampleRow]) -> None:
    """Nothing is said of nothing."""
    report = folder_of(tmp_path, [], [row()], Lock(pairings=(LOCK,)), template)
    assert "Nothing is known of **player-answers** against **opponent-answers**: no pair has a verdict." in report
    assert "beats" not in report
    if template == "session":
        assert report.count("Not known: nothing was judged.") == 3


def test_a_judge_that_robs_the_player(verdict: Build) -> None:
    """It prefers the opponent, who has fewer right answers: said in the headline, and a finding."""
    rows = some(verdict, "mc", 4, 30, right="+-")
    told = "**theirs** is preferred to **mine** in mc although it has fewer right answers there."
    assert f"In the eyes of the judge j, {told}" == headline(found(rows))
    made = Duel(LOCK)
    for row in rows:
        made.hear(row)
    assert "preferred_not_right" in {one.code for one in made.result().raised}


def test_few_pairs_can_show_a_lead(verdict: Build) -> None:
    """Ten of ten are p = 0.002, and ten all the same."""
    assert {
        "c": "mine is preferred, and so is what is longer (10 of 10); nothing is verified (10 pairs only)"
    } == insights(some(verdict, "c", 10, 0))


def test_a_session_without_a_judge(tmp_path: Path, row: Callable[..., SampleRow]) -> None:
    """It says so, and has the scores all the same."""
    report = folder_of(tmp_path, [], [row(), row(id="i1", outcome="fail")], Lock(), "session")
    assert "No judge compared anything in this run" in report
    assert "| s | m | 2 | 2 | 0 | 50.0 % | 9.5 to 90.5 % |" in report
