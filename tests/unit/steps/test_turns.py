"""Chats of several turns: each question after the real answer, each answer stored by itself, the last one scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Json,
    Message,
    Model,
    Progress,
    Prompt,
    Request,
    Sample,
    SamplingParams,
    Score,
    Void,
)
from evalkit.run.store import SqliteStore
from evalkit.scorers.plain import PlainScorer
from evalkit.spec.model import BenchStep, Policy
from evalkit.steps.bench import Arm, Bench
from evalkit.steps.fill import fill
from evalkit.steps.rows import rows
from evalkit.steps.turns import wanted


class Killed(BaseException):
    """The process ends here."""


class ChatEngine:
    """Answers each chat with a digest of the whole of it; dies, or fails at a turn, when told to."""

    def __init__(self, lives: int | None = None, void_turn: int | None = None) -> None:
        self.asked: list[Request] = []
        self._lives = lives
        self._void_turn = void_turn

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        for request in requests:
            if self._lives is not None and len(self.asked) >= self._lives:
                raise Killed
            self.asked.append(request)
            if request.turn == self._void_turn:
                yield Void(request.key, "too long", "engine")
                continue
            text = f"<{'|'.join(message.content for message in request.prompt.messages)}#{request.index}>"
            yield Completion(request.key, text, "stop", request.sampling, "0" * 64, 5, 2, 0.25)

    def close(self) -> None: ...


class LastScorer(PlainScorer):
    """Keeps what it is asked to score."""

    def __init__(self, options: dict[str, Json]) -> None: ...

    def check(self, sample: Sample) -> None: ...

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        return Score("pass", 1.0, answer=completion.text)


class Bag:
    """Tools over one store and engine."""

    sandbox_identity = ""

    def __init__(self, store: SqliteStore, engine: ChatEngine) -> None:
        self.store, self._engine, self.listener = store, engine, self
        self.heard = Progress()
        self.staged: list[tuple[int, int]] = []

    def engine(self, model: Model) -> ChatEngine:
        return self._engine

    def sandbox(self) -> None: ...

    def stage(self, step: str, task: str, total: int, done: int) -> None:
        self.staged.append((total, done))

    def advance(self, step: str, task: str, progress: Progress) -> None:
        names = Progress.__struct_fields__
        self.heard = Progress(*(getattr(self.heard, name) + getattr(progress, name) for name in names))

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def bench(items: int, followups: tuple[str, ...], samples: int = 1) -> Bench:
    chosen = tuple(
        Sample("t", str(n), "t", "test", {}, Prompt((Message("user", f"q{n}"),)), {}, followups) for n in range(items)
    )
    policy = Policy("p", temperature=0.7, samples=samples)
    arm = Arm("t", "t", "test", chosen, policy, SamplingParams(0.7), LastScorer({}), "", "")
    return Bench(BenchStep("b", "s", "m", {}), Model("m", "echo", {}), Fingerprint("echo", {}), (arm,))


def test_each_question_follows_the_real_answer(tmp_path: Path) -> None:
    """The chat so far, word for word; the row holds it, the answers before, and the costs of all turns."""
    store, work, engine = SqliteStore(tmp_path), bench(1, ("again", "and now")), ChatEngine()
    fill(work, Bag(store, engine))
    assert [request.turn for request in engine.asked] == [0, 1, 2]
    last = engine.asked[2].prompt.messages
    assert [message.role for message in last] == ["user", "assistant", "user", "assistant", "user"]
    assert [message.content for message in last] == [
        "q0", "<q0#0>", "again", "<q0|<q0#0>|again#0>", "and now",
    ]  # fmt: skip
    [row] = rows(work, store, "")
    assert row.earlier == ("<q0#0>", "<q0|<q0#0>|again#0>")
    assert row.text == row.answer == "<q0|<q0#0>|again|<q0|<q0#0>|again#0>|and now#0>"
    assert (row.prompt, row.completion) == (engine.asked[2].prompt, engine.asked[2].key)
    assert (row.prompt_tokens, row.completion_tokens, row.seconds) == (15, 6, 0.75)


def test_all_turns_are_counted(tmp_path: Path) -> None:
    """In the plan and on the way: what is stored, what is to be asked, and what is scored of it."""
    store, work = SqliteStore(tmp_path), bench(3, ("again",), samples=2)
    arm = work.arms[0]
    assert [stored for _, stored in wanted(work, arm, store)] == [False] * 12
    with suppress(Killed):
        fill(work, Bag(store, ChatEngine(lives=8)))
    assert sum(stored for _, stored in wanted(work, arm, store)) == 8
    tools = Bag(store, ChatEngine())
    fill(work, tools)
    assert tools.staged == [(12, 8)]
    assert tools.heard == Progress(done=4, tokens=8, scored=6, value=6.0, early=6)
    again = Bag(store, ChatEngine())
    fill(work, again)
    assert again.staged == [(12, 12)]
    assert again.heard == Progress(scored=6, value=6.0, early=6)


def test_what_is_not_known_yet_has_no_key_of_another(tmp_path: Path) -> None:
    """Later turns before their answers: one each, none of them stored, their prompts as far as they are known."""
    work = bench(2, ("again",))
    later = [cell for cell, _ in wanted(work, work.arms[0], SqliteStore(tmp_path)) if cell.request.turn]
    assert len({cell.request.key for cell in later}) == 2
    assert [[message.content for message in cell.request.prompt.messages] for cell in later] == [
        ["q0", "again"],
        ["q1", "again"],
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 12), max_size=4), items=st.integers(1, 4), turns=st.integers(0, 2))
def test_a_kill_between_turns_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int], items: int, turns: int
) -> None:
    """Nothing stored is asked again, and the rows are those of a clean run."""
    work = bench(items, ("again", "and now")[:turns])
    clean = SqliteStore(tmp_path_factory.mktemp("clean"))
    fill(work, Bag(clean, ChatEngine()))
    store = SqliteStore(tmp_path_factory.mktemp("killed"))
    asked: list[str] = []
    for lives in [*kills, None]:
        engine = ChatEngine(lives=lives)
        with suppress(Killed):
            fill(work, Bag(store, engine))
        asked += [request.key for request in engine.asked]
    assert len(asked) == len(set(asked)) == items * (turns + 1)
    assert list(rows(work, store, "")) == list(rows(work, clean, ""))
    clean.close()
    store.close()


@pytest.mark.parametrize(("turn", "asked", "earlier"), [(0, 1, ()), (1, 2, ("<q0#0>",))])
def test_a_void_turn_makes_the_sample_void(tmp_path: Path, turn: int, asked: int, earlier: tuple[str, ...]) -> None:
    """With its reason; nothing after it is asked, and what came before it is kept."""
    store, work, engine = SqliteStore(tmp_path), bench(1, ("again", "and now")), ChatEngine(void_turn=turn)
    tools = Bag(store, engine)
    fill(work, tools)
    [row] = rows(work, store, "")
    assert (row.outcome, row.reason, row.text, row.earlier) == ("void", "engine: too long", None, earlier)
    assert (len(engine.asked), tools.heard.void) == (asked, 1)
    fill(work, Bag(store, ChatEngine()))
    assert [row.outcome for row in rows(work, store, "")] == ["pass"]


def test_equal_first_questions_are_asked_once(tmp_path: Path) -> None:
    """Two chats that begin alike share the beginning."""
    store, engine = SqliteStore(tmp_path), ChatEngine()
    work = bench(1, ("again",))
    [first] = work.arms[0].samples
    other = Sample("t", "1", "t", "test", {}, first.prompt, {}, ("or so",))
    arm = Arm("t", "t", "test", (first, other), *_rest(work.arms[0]))
    doubled = Bench(work.step, work.model, work.fingerprint, (arm,))
    fill(doubled, Bag(store, engine))
    assert [request.turn for request in engine.asked] == [0, 1, 1]
    assert [row.id for row in rows(doubled, store, "")] == ["0", "1"]


def _rest(arm: Arm) -> tuple[Policy, SamplingParams, LastScorer, str, str]:
    assert isinstance(arm.scorer, LastScorer)
    return (arm.policy, arm.sampling, arm.scorer, arm.origin, arm.sha256)
