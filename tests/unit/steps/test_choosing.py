"""Best-of-N: one candidate counts, by a rule that saw only candidates, and its row is the one that is judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.digest import digest_text
from evalkit.core.keys import completion_key
from evalkit.core.selection import Candidate, Select, Valued
from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Json,
    Message,
    Model,
    Program,
    Prompt,
    Reference,
    Request,
    Sample,
    SampleRow,
    SamplingParams,
    Score,
    Void,
)
from evalkit.run.store import SqliteStore
from evalkit.scorers.select import Longest, Majority, Oracle
from evalkit.spec.model import BenchStep, Policy
from evalkit.steps.bench import Arm, Bench, cells, trial_of
from evalkit.steps.choosing import Picked, pick
from evalkit.steps.rows import rows

ASKED = Sample("t", "1", "c", "test", {}, Prompt((Message("user", "What?"),)), {})


class Given:
    """Gives each candidate the value that its text is; nothing to an empty one."""

    oracle = False

    def __init__(self, options: dict[str, Json]) -> None:
        self.saw: list[Candidate] = []

    def values(self, sample: Sample, candidates: Sequence[Candidate]) -> list[Valued]:
        self.saw += candidates
        return [Valued(float(one.completion.text) if one.completion.text else None) for one in candidates]


class GoldScorer:
    """Passes what says `right`; the answer is the first word."""

    executes = False

    def __init__(self, options: dict[str, Json]) -> None: ...

    def check(self, sample: Sample) -> None: ...

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return None

    def reference(self, sample: Sample) -> Reference | None:
        return None

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        right = completion.text.startswith("right")
        return Score("pass" if right else "fail", float(right), answer=completion.text.split()[0])


def policy(by: str = "given", on_tie: str = "first", seed: int = 0, n: int = 3) -> Policy:
    select = msgspec.convert({"by": by, "on_tie": on_tie}, Select)
    return Policy("best", temperature=0.8, best_of=n, select=select, seed=seed)


def candidates(*texts: str) -> list[Candidate]:
    score = Score("pass", 1.0)
    return [
        Candidate(index, Completion("k", text, "stop", None, "0" * 64), answer=text, score=score)
        for index, text in enumerate(texts)
    ]


def picked(*texts: str, on_tie: str = "first", seed: int = 0, sample: Sample = ASKED) -> Picked:
    return pick(Given({}), policy(on_tie=on_tie, seed=seed), sample, candidates(*texts))


def test_the_highest_value_wins() -> None:
    """Ranks count from 1, equal values share one; no value comes last."""
    found = picked("1", "3", "", "3", "2")
    assert found.place == 1
    assert [choice.rank for choice in found.choices] == [4, 1, 5, 1, 3]
    assert {choice.best for choice in found.choices} == {2}
    assert {choice.by for choice in found.choices} == {"given"}


@pytest.mark.parametrize(("on_tie", "place"), [("first", 0), ("shortest", 2), ("longest", 1)])
def test_ties_go_where_the_spec_says(on_tie: str, place: int) -> None:
    """`1.0`, `1.00` and `1` are one value and three lengths."""
    assert picked("1.0", "1.00", "1", "0", on_tie=on_tie).place == place


def test_random_ties_are_drawn_by_seed_and_item() -> None:
    """The same seed and item give the same pick; over items every one of the tied is picked, none of the others."""
    items = [msgspec.structs.replace(ASKED, id=str(number)) for number in range(200)]
    first = [picked("5", "1", "5", "5", on_tie="random", sample=item).place for item in items]
    again = [picked("5", "1", "5", "5", on_tie="random", sample=item).place for item in items]
    other = [picked("5", "1", "5", "5", on_tie="random", seed=1, sample=item).place for item in items]
    assert first == again != other
    assert {place: first.count(place) > 40 for place in set(first)} == {0: True, 2: True, 3: True}


def test_without_any_value_the_tie_decides() -> None:
    """Nothing is known of any candidate: they are all tied."""
    found = picked("", "", "")
    assert (found.place, [choice.best for choice in found.choices]) == (0, [3, 3, 3])


def test_of_nothing_nothing_is_picked() -> None:
    assert picked() == Picked(0, ())


@given(st.permutations(["1", "2", "3", "4"]))
def test_the_order_of_candidates_does_not_matter(texts: list[str]) -> None:
    """Without ties the same text wins, wherever it stands."""
    assert texts[picked(*texts).place] == "4"


def test_only_an_oracle_is_told_the_verdict() -> None:
    """A selector gets candidates whose score is taken out."""
    plain = Given({})
    pick(plain, policy(), ASKED, candidates("1", "2"))
    assert [one.score for one in plain.saw] == [None, None]

    class Knowing(Given):
        oracle = True

    knowing = Knowing({})
    pick(knowing, policy(), ASKED, candidates("1", "2"))
    assert [one.score for one in knowing.saw] == [Score("pass", 1.0)] * 2


# rows


def bench(selector: Json, by: str, items: int = 4, n: int = 3) -> Bench:
    samples = tuple(msgspec.structs.replace(ASKED, id=str(number), prompt=_prompt(number)) for number in range(items))
    way = policy(by, n=n)
    arm = Arm("c", "t", "test", samples, way, SamplingParams(0.8), GoldScorer({}), "", "", selector=selector)
    step = BenchStep("b", "s", "m", {"default": "best"})
    return Bench(step, Model("m", "echo", {}), Fingerprint("echo", {}), (arm,))


def _prompt(number: int) -> Prompt:
    return Prompt((Message("user", f"What is {number}?"),))


TEXTS = {
    "0": ["wrong a", "right b", "right bb"],
    "1": ["wrong aaaa", "other b", "right c"],
    "2": ["wrong a", "wrong a", "wrong a"],
    "3": ["right a", "right b", "wrong ccc"],
}


def filled(tmp_path: Path, work: Bench, without: Sequence[tuple[str, int]] = ()) -> list[SampleRow]:
    store = SqliteStore(tmp_path)
    try:
        for cell in cells(work, work.arms[0]):
            place = (cell.sample.id, cell.request.index)
            if place in without:
                store.put_voids([Void(cell.request.key, "lost", "engine")])
            else:
                text = TEXTS[cell.sample.id][cell.request.index]
                store.put_completions([Completion(cell.request.key, text, "stop", cell.request.sampling, "0" * 64)])
        return list(rows(work, store, ""))
    finally:
        store.close()


def test_what_is_selected_is_what_is_judged(tmp_path: Path) -> None:
    """One row of each item counts; id, digest, text and verdict are those of one completion, also of the others."""
    work = bench(Majority({}), "majority")
    found = filled(tmp_path, work)
    assert [row.selected for row in found] == [
        *(False, True, False), *(True, False, False), *(True, False, False), *(True, False, False)
    ]  # fmt: skip
    for row in found:
        request = Request("", "t", row.id, row.prompt, SamplingParams(0.8), row.sample)
        assert row.completion == completion_key(work.fingerprint, request)
        assert row.text == TEXTS[row.id][row.sample]
        assert row.text_sha256 == digest_text(row.text)
        assert (row.outcome == "pass") == row.text.startswith("right")
        assert row.choice is not None


def test_the_oracle_is_the_ceiling(tmp_path: Path) -> None:
    """It finds every pass there is, and is named."""
    found = filled(tmp_path, bench(Oracle({}), "tests"))
    chosen = [row for row in found if row.selected]
    assert [row.outcome for row in chosen] == ["pass", "pass", "fail", "pass"]
    assert {row.choice.by for row in chosen if row.choice} == {"tests"}


def test_what_never_came_is_no_candidate(tmp_path: Path) -> None:
    """The choice is among the others; where nothing came the item's first place stands for it, void."""
    lost = [("0", 2), ("1", 0), ("1", 1), ("1", 2)]
    found = filled(tmp_path, bench(Longest({}), "longest"), without=lost)
    chosen = {row.id: (row.sample, row.outcome) for row in found if row.selected}
    assert chosen == {"0": (0, "fail"), "1": (0, "void"), "2": (0, "fail"), "3": (2, "fail")}
    assert len([row for row in found if row.selected]) == 4
    assert [row.choice for row in found if row.outcome == "void"] == [None] * 4


def test_many_candidates_stay_together(tmp_path: Path) -> None:
    """Rows are read in pieces; no piece ends within an item, whatever the number of candidates."""
    for items, n in ((90, 7), (3, 300)):
        work = bench(Longest({}), "longest", items=items, n=n)
        store = SqliteStore(tmp_path / f"{n}")
        store.put_completions(
            [
                Completion(cell.request.key, "x" * (1 + cell.request.index), "stop", cell.request.sampling, "0" * 64)
                for cell in cells(work, work.arms[0])
            ]
        )
        chosen = [(row.id, row.sample) for row in rows(work, store, "") if row.selected]
        store.close()
        assert chosen == [(str(number), n - 1) for number in range(items)]


def test_permuted_candidates_are_picked_alike() -> None:
    """A majority does not depend on the order in which its votes come, but for ties."""
    texts = ("A", "A", "B")
    winners = {
        order[pick(Majority({}), policy("majority"), ASKED, candidates(*order)).place] for order in permutations(texts)
    }
    assert winners == {"A"}


def test_equal_prompts_are_judged_by_their_own_tests(tmp_path: Path) -> None:
    """Two items ask the same and test otherwise: they share the answer, and each has its own program and verdict."""

    class Executing(GoldScorer):
        executes = True

        def program(self, sample: Sample, completion: Completion) -> Program | None:
            return Program("", completion.text, (f"assert {sample.id}",))

        def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
            assert execution is not None
            return Score("pass" if execution.outcome == "passed" else "fail", float(execution.outcome == "passed"))

    samples = tuple(msgspec.structs.replace(ASKED, id=name) for name in ("1", "2"))
    arm = Arm("c", "t", "test", samples, Policy("p"), SamplingParams(), Executing({}), "", "")
    step = BenchStep("b", "s", "m", {"default": "p"})
    work = Bench(step, Model("m", "echo", {}), Fingerprint("echo", {}), (arm,))
    store = SqliteStore(tmp_path)
    for cell in cells(work, arm):
        answer = Completion(cell.request.key, "x", "stop", cell.request.sampling, "0" * 64)
        store.put_completions([answer])
        trial = trial_of(arm, cell.sample, answer, "sandbox")
        assert trial is not None
        outcome = "passed" if cell.sample.id == "1" else "wrong_answer"
        store.put_executions([Execution(trial.program.key, outcome, ())])
    found = [(row.id, row.outcome) for row in rows(work, store, "sandbox")]
    store.close()
    assert found == [("1", "pass"), ("2", "fail")]
