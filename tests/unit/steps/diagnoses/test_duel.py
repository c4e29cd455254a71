"""What a judge step found: denominators, chance, place, length, retests, panels, and who is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evalkit.core.diagnosis import Diagnosis, Raised
from evalkit.core.runfolder import PairingLock
from evalkit.core.verdicts import Game, VerdictRow
from evalkit.steps.diagnoses.duel import Duel
from evalkit.steps.diagnoses.duel_found import DuelFound

Build = Callable[..., VerdictRow]
LOCK = PairingLock(step="duel", player="player-answers", opponent="opponent-answers", judges=())
# github.com/dkeviv/Cogumi-LLM, October 2025: wins, losses, ties.
SIX = {
    "knowledge": (45, 5, 0),
    "reasoning": (43, 7, 0),
    "instruction": (33, 7, 10),
    "creativity": (2, 1, 2),
    "code": (24, 16, 10),
    "math": (3, 12, 35),
}


def duel(rows: Iterable[VerdictRow], lock: PairingLock = LOCK) -> Duel:
    made = Duel(lock)
    for row in rows:
        made.hear(row)
    return made


def numbered(build: Build, said: str, times: int, start: int = 0, **known: object) -> list[VerdictRow]:
    return [build(said, id=f"i{start + n}", **known) for n in range(times)]


def six(build: Build) -> list[VerdictRow]:
    rows: list[VerdictRow] = []
    for category, counts in SIX.items():
        for said, times in zip(("win", "loss", "tie"), counts, strict=True):
            rows += [build(said, category=category, task=category, id=f"{said}{n}") for n in range(times)]
    return rows


def code(found: Diagnosis, code: str) -> Raised | None:
    return next((one for one in found.raised if one.code == code), None)


def table(found: Diagnosis, name: str) -> list[tuple[object, ...]]:
    return next(list(one.rows) for one in found.tables if one.name == name)


def test_six_categories(verdict: Build) -> None:
    """A published table, with what was missing in it: which lead is one, and what it adds up to."""
    made = duel(six(verdict))
    found = made.found()
    assert {name: round(one.value or 0.0, 3) for name, one in found.categories.items()} == {
        "knowledge": 0.9, "reasoning": 0.86, "instruction": 0.76, "creativity": 0.6, "code": 0.58, "math": 0.41
    }  # fmt: skip
    assert {name for name, one in found.categories.items() if one.shown} == {"knowledge", "reasoning", "instruction"}
    math = found.categories["math"]
    assert (pytest.approx(0.03515625), pytest.approx(0.10546875)) == (math.p, math.holm)
    whole = found.overall
    assert (255, pytest.approx(0.7), pytest.approx(0.685)) == (whole.pooled.pairs, whole.pooled.value, whole.macro)
    assert (("creativity",), pytest.approx(0.702)) == (whole.small, whole.without_small)
    result = made.result()
    small, unshown = code(result, "category_too_small"), code(result, "ahead_not_shown")
    assert small is not None
    assert unshown is not None
    assert [{"category": "creativity", "n": 5, "decided": 3}] == small.values["categories"]
    assert ["code"] == [one["category"] for one in unshown.values["categories"]]


def test_denominators(verdict: Build) -> None:
    """Inconsistent is one half and no tie; invalid and void stand apart, and what they could do to it is told."""
    rows = [
        *numbered(verdict, "win", 5), *numbered(verdict, "loss", 2, 5), *numbered(verdict, "tie", 1, 7),
        *numbered(verdict, "first", 2, 8), *numbered(verdict, "unread", 2, 10),
        verdict("win", id="i12", verdict="void", games=()),
    ]  # fmt: skip
    found = duel(rows).result()
    [line] = table(found, "verdicts")
    assert ("c", 13, 5, 2, 1, 2, 2, 1) == line[:8]
    numbers = found.metrics
    assert (0.65, 6.5 / 12, 8.5 / 12) == (
        numbers["score"], numbers["score_if_invalid_lost"], numbers["score_if_invalid_won"]
    )  # fmt: skip
    assert "If every invalid pair were lost the score would be 54.2 %, if every one were won 70.8 %." in found.notes
    invalid = code(found, "many_invalid")
    assert invalid is not None
    assert (2, 12, ("duel/i10", "duel/i11")) == (
        invalid.values["invalid"], invalid.values["asked"], invalid.samples
    )  # fmt: skip


def test_nothing_but_void(verdict: Build) -> None:
    """No number where there is none."""
    found = duel([verdict(verdict="void", games=())]).result()
    assert {None} == {found.metrics[name] for name in ("score", "p", "win_rate", "first_shown", "longer_wins")}
    assert "No pair has a verdict: there is no score." in found.notes
    assert found.figures == ()
    assert duel([]).result().metrics["pairs"] == 0.0


def test_place(verdict: Build) -> None:
    """Eight pairs whose first answer wins in both orders: the place decides. Seven are not beyond chance with one
    that leans the other way."""
    rows = numbered(verdict, "first", 8) + numbered(verdict, "win", 12, 8)
    found = code(duel(rows).result(), "position_bias")
    assert found is not None
    assert (8, 20, pytest.approx(0.0078125)) == (found.values["flips"], found.values["pairs"], found.values["p"])
    assert ("duel/i0", 8) == (found.samples[0], found.of_samples)
    rows = numbered(verdict, "first", 5) + numbered(verdict, "second", 1, 5)
    assert code(duel(rows).result(), "position_bias") is None


def test_one_order(verdict: Build) -> None:
    """The share of the first place is the player's wins: nothing is known of the place."""
    made = duel(numbered(verdict, "one", 9), PairingLock(step="d", player="p", opponent="o", judges=(), swap=False))
    found = made.result()
    assert code(found, "one_order") is not None
    assert code(found, "position_bias") is None
    assert found.metrics["flip_rate"] is None
    assert any("in one order only" in note for note in found.notes)


def test_length(verdict: Build) -> None:
    """Nine of ten longer answers win; below a hundred pairs no length-controlled score is told."""
    rows = numbered(verdict, "win", 9) + numbered(verdict, "loss", 1, 9)
    found = duel(rows).result()
    raised = code(found, "length_bias")
    assert raised is not None
    assert (9, 10, pytest.approx(0.021484375)) == (raised.values["part"], raised.values["of"], raised.values["p"])
    assert (0.9, None) == (found.metrics["longer_wins"], found.metrics["length_controlled"])
    many = [verdict("win" if n % 10 else "loss", chars=(100 + n % 7, 80), id=f"i{n}") for n in range(100)]
    assert duel(many).result().metrics["length_controlled"] is not None


def test_answers_of_two_kinds(verdict: Build) -> None:
    """Paragraphs against a letter: the form of the prompt may have decided."""
    rows = numbered(verdict, "win", 3, category="mc", chars=(800, 12)) + numbered(verdict, "win", 3, category="open")
    found = code(duel(rows).result(), "lengths_far_apart")
    assert found is not None
    assert [{"category": "mc", "player": 800.0, "opponent": 12.0}] == found.values["categories"]


def test_a_judge_that_does_not_repeat_itself(verdict: Build) -> None:
    """Of twelve pairs asked once more seven have the same verdict; what could not be read is in neither."""
    rows = numbered(verdict, "win", 7, again="win") + numbered(verdict, "win", 5, 7, again="tie")
    rows += numbered(verdict, "unread", 2, 12, again="win") + numbered(verdict, "tie", 9, 14)
    found = duel(rows).result()
    raised = code(found, "judge_not_repeatable")
    assert raised is not None
    assert (12, pytest.approx(7 / 12)) == (raised.values["n"], raised.values["observed"])
    assert (12.0, pytest.approx(7 / 12)) == (found.metrics["retested"], found.metrics["retest_agreement"])


def test_what_judging_took(verdict: Build) -> None:
    """Each stored answer once, also where two categories share it; what never came is not paid, and what is not known
    makes the sum unknown."""
    game = Game(swapped=False, said="first", key="a", prompt_tokens=10, completion_tokens=2, seconds=0.5)
    games = (
        game,
        replace(game, key="b", said=None),
        replace(game, key="c", retest=1),
        Game(True, None, "d", void=True),
    )
    rows = [verdict(category=category, games=games) for category in ("all", "hard")]
    assert [("j", 3, 1, 1, 30, 6, 1.5, None)] == table(duel(rows).result(), "played")


def test_ratings(verdict: Build) -> None:
    """They are the player's wherever its answer stood; a winner with the lower sum, a tie of unequal sums and a win of
    equal ones do not follow from them."""
    given = [("first", False, (9, 4)), ("second", True, (3, 8)), ("first", False, (2, 6)), ("tie", False, (5, 4))]
    games = [Game(swapped, said, ratings={"clarity": pair}) for said, swapped, pair in given]
    games += [
        Game(swapped=False, said="first", ratings={"clarity": (5, 5)}),
        Game(False, None, ratings={"clarity": (1, 9)}),
    ]
    found = duel([verdict(games=tuple(games))]).result()
    assert [("j", "clarity", 5, 29 / 5, 22 / 5, pytest.approx(7 / 5))] == table(found, "ratings")
    against = code(found, "verdict_against_ratings")
    assert against is not None
    assert (3, 5) == (against.values["against"], against.values["games"])


def test_a_panel(verdict: Build) -> None:
    """Two of three say win: a win. Three that say three things: inconsistent. Each has a line of its own."""
    said = {"i0": ("win", "win", "loss"), "i1": ("win", "loss", "tie"), "i2": ("tie", "tie", "tie")}
    rows = [
        verdict(one, id=name, judge=f"j{place}", judge_model=f"m{place}")
        for name, three in said.items()
        for place, one in enumerate(three)
    ]
    made = duel(rows)
    assert (1, 0, 1, 1) == made.found().overall.pooled.tally
    found = made.result()
    lines = table(found, "judges")
    assert [("j0", 2, 0, 1), ("j1", 1, 1, 1), ("j2", 0, 1, 2), ("majority", 1, 0, 1)] == [
        (line[0], *line[3:6]) for line in lines
    ]
    assert {(None,) * 4} == {line[-4:] for line in lines}
    assert [("j0", "j1", 3, 2 / 3), ("j0", "j2", 3, 1 / 3), ("j1", "j2", 3, 1 / 3)] == [
        line[:4] for line in table(found, "panel")
    ]


def test_each_judge_of_a_panel_is_watched(verdict: Build) -> None:
    """The majority hides one that writes nothing readable, and one that likes the first place."""
    rows = [
        verdict(said, id=f"i{n}", judge=judge)
        for n in range(9)
        for judge, said in (("a", "win"), ("b", "win"), ("c", "unread"), ("d", "win"), ("e", "first"))
    ]
    found = duel(rows).result()
    assert 9.0 == found.metrics["wins"]
    invalid, place = code(found, "many_invalid"), code(found, "position_bias")
    assert invalid is not None
    assert place is not None
    assert ("c", 9, 9) == (invalid.values["judge"], invalid.values["invalid"], invalid.of_samples)
    assert ("e", 9, 9) == (place.values["judge"], place.values["flips"], place.of_samples)


def test_judges_that_disagree(verdict: Build) -> None:
    """One says win and loss by turns, the other by halves: they agree no more than chance. One of them knows who is
    right."""
    rows = [
        verdict(said, id=f"i{n}", judge=judge, right="+-" if n % 2 else "-+")
        for n in range(24)
        for judge, said in (("a", "win" if n % 2 else "loss"), ("b", "win" if n % 4 < 2 else "loss"))
    ]
    found = duel(rows).result()
    raised = code(found, "judges_disagree")
    assert raised is not None
    assert (0.0, 0.5, 24) == (raised.values["kappa"], raised.values["observed"], raised.values["n"])
    assert [("a", (24, 0, 0, 1.0)), ("b", (12, 0, 12, 0.0))] == [
        (line[0], line[-4:]) for line in table(found, "judges")[:2]
    ]


def test_groups(verdict: Build) -> None:
    """A table for each field with several values; a category of one subject says so."""
    rows = [
        verdict(said, id=f"{subject}{n}", category=category, groups={"subject": subject})
        for category, subject, said, times in (
            ("knowledge", "algebra", "win", 3), ("law", "torts", "loss", 2), ("law", "contracts", "tie", 1)
        )
        for n in range(times)
    ]  # fmt: skip
    found = duel(rows).result()
    assert [("algebra", 3, 3, 0), ("contracts", 1, 0, 0), ("torts", 2, 0, 2)] == [
        line[:4] for line in table(found, "by subject")
    ]
    raised = code(found, "category_of_one_kind")
    assert raised is not None
    assert [{"category": "knowledge", "field": "subject", "value": "algebra"}] == raised.values["kinds"]


def truths(verdict: Build) -> list[VerdictRow]:
    """Thirty pairs: ten longer wrong answers that win over right ones, eighteen ties of right ones, two right wins."""
    rows = numbered(verdict, "win", 10, right="-+") + numbered(verdict, "tie", 18, 10, right="++")
    return rows + numbered(verdict, "win", 2, 28, right="+-")


def test_a_judged_win_with_a_wrong_answer(verdict: Build) -> None:
    """The gravest: the judge prefers a wrong answer. Beside it the scorer's own numbers, and that the lead is none."""
    made = duel(truths(verdict))
    found, result = made.found(), made.result()
    [known] = found.truths.values()
    assert (30, 20, 28, 2, 0, 10, 10, 10) == (
        known.n, known.player, known.opponent, known.named, known.missed, known.wrong, known.false_wins, known.robbed
    )  # fmt: skip
    assert pytest.approx(0.03857421875) == known.p
    raised = code(result, "judged_win_wrong")
    assert raised is not None
    assert (10, 12, 10, 10) == (
        raised.values["count"], raised.values["wins"], raised.values["robbed"], raised.of_samples
    )  # fmt: skip
    against = code(result, "preferred_not_right")
    assert against is not None
    assert [("c", 20, 28)] == [
        (one["category"], one["player"], one["opponent"]) for one in against.values["categories"]
    ]


def test_kappa_against_the_truth(verdict: Build) -> None:
    """Twenty and eight of thirty agree; the expected share comes from how often each says what."""
    found = duel(truths(verdict)).result()
    observed, expected = 20 / 30, (12 * 2 + 0 * 10 + 18 * 18) / 900
    assert pytest.approx((observed - expected) / (1 - expected)) == found.metrics["truth_kappa"]
    rows = numbered(verdict, "win", 12, right="++") + numbered(verdict, "loss", 12, 12, right="++")
    poor = code(duel(rows).result(), "judge_against_truth")
    assert poor is not None
    assert (0.0, 24) == (poor.values["kappa"], poor.values["n"])


def test_what_cannot_be_verified(verdict: Build) -> None:
    """A void side, a share, an answer that nothing scores: none of them is wrong."""
    found = duel([verdict(right="x+"), verdict(right="??", id="i1"), verdict(right="-?", id="i2")]).result()
    assert (0.0, None) == (found.metrics["verifiable"], found.metrics["wins_of_wrong_answers"])
    assert code(found, "judged_win_wrong") is None


def test_equal_answers_and_routes(verdict: Build) -> None:
    """Equal texts are a tie without a game; of a route both models have a name."""
    one, other = verdict("tie"), verdict("tie", id="i1")
    other = replace(other, games=(), player=replace(other.player, model="large"))
    made = duel([one, other])
    assert ("mine or large", "theirs") == (made.found().player, made.found().opponent)
    assert "1 of the ties have the same text on both sides: no judge was asked." in made.result().notes
    assert 1 == made.found().places["j"].pairs


_MARKS = st.sampled_from(["win", "loss", "tie", "first", "second", "unread"])
_RIGHT = st.sampled_from(["++", "+-", "-+", "--", "??"])
_PAIRS = st.lists(st.tuples(_MARKS, _RIGHT, st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=40)


@given(pairs=_PAIRS)
def test_seen_from_the_other_side(verdict: Build, pairs: list[tuple[str, str, int, int]]) -> None:
    """What the opponent has is what the player has not; place and length decide as much for either."""
    rows = [
        verdict(said, id=f"i{n}", right=right, chars=(mine, other), category=f"c{n % 2}")
        for n, (said, right, mine, other) in enumerate(pairs)
    ]
    said = {"win": "loss", "loss": "win"}
    turned = [
        replace(
            row,
            player=row.opponent,
            opponent=row.player,
            verdict=said.get(row.verdict, row.verdict),
            games=tuple(replace(game, swapped=not game.swapped) for game in row.games),
        )
        for row in rows
    ]
    mine, other = duel(rows).result().metrics, duel(turned).result().metrics
    for name in ("ties", "inconsistent", "invalid", "p", "detectable", "first_shown", "flip_rate", "position_p",
                 "longer_wins", "longer_p", "verifiable", "named_right", "truth_kappa"):  # fmt: skip
        assert mine[name] == (None if other[name] is None else pytest.approx(other[name])), name
    assert (mine["wins"], mine["player_right"]) == (other["losses"], other["opponent_right"])
    for name, turned_name in (
        ("score", "score"),
        ("score_low", "score_high"),
        ("macro", "macro"),
        ("score_if_invalid_lost", "score_if_invalid_won"),
    ):
        seen = other[turned_name]
        assert mine[name] == (None if seen is None else pytest.approx(1.0 - seen)), name


def test_an_item_of_two_categories_is_one_pair(verdict: Build) -> None:
    found: DuelFound = duel(
        [verdict(category="all"), verdict(category="hard"), verdict(category="all", id="i1")]
    ).found()
    assert (2, [2, 1]) == (found.overall.pooled.pairs, [one.pairs for one in found.categories.values()])


def test_several_pairs_to_an_item(verdict: Build) -> None:
    """Eight pairs of two items are two items: their number is not evidence."""
    rows = [verdict("win", id=name, sample=n) for name in ("a", "b") for n in range(3)]
    rows += [verdict("loss", id="a", sample=3), verdict("loss", id="b", sample=3)]
    made = duel(rows)
    pooled = made.found().overall.pooled
    assert (8, 2, 2, 0, 0.75, 0.5) == (pooled.pairs, pooled.items, pooled.won, pooled.lost, pooled.value, pooled.p)
    assert any(note.startswith("8 pairs are about 2 items") for note in made.result().notes)


def test_samples_of_an_item_are_not_independent(verdict: Build) -> None:
    """Eight answers to one item by which the judge likes the first place, and of which one side is always right: that
    is one item, and shows nothing; nor does it that the longer answer won each time."""
    same = [verdict("first", "+-", id="i0", sample=n) for n in range(8)]
    found = duel(same).found()
    assert found.truths["c"].p == 1.0
    assert found.places["j"].p == 1.0
    assert (found.places["j"].pairs, found.places["j"].to_first) == (8, 8)
    won = duel([verdict("win", id="i0", sample=n) for n in range(8)]).found()
    longer = won.lengths["c"].longer
    assert longer is not None
    assert longer.p == 1.0


def test_a_panel_that_cannot_be_read_decides_nothing(verdict: Build) -> None:
    """Of two judges one says win and one is unreadable: no verdict, and no half of one."""
    rows = [
        verdict(said, id=f"i{n}", judge=judge) for n in range(30) for judge, said in (("j", "win"), ("k", "unread"))
    ]
    whole = duel(rows).found().overall.pooled
    assert (whole.invalid, whole.tally.n, whole.value) == (30, 0, None)
    assert whole.bounds == (0.0, 1.0)
