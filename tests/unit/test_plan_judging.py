"""What a plan says of judges: who is asked, how much at most, what they may see, and what of it is locked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit import plan
from evalkit.core.errors import DataError
from evalkit.core.runfolder import JudgeLock, Lock
from evalkit.core.types import Completion
from evalkit.plan import PlannedStep, Sources, judges_of, model_lock, task_locks
from evalkit.plan.planned import PlannedJudging
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.spec.model import Spec
from evalkit.steps.bench import cells
from evalkit.steps.judges import PROMPT

SPEC = """\
evalkit: 1
models:
  recorded: {file: answers.jsonl, fields: {id: id, text: text}}
  umpire: {file: judged.jsonl, fields: {id: id, text: text FURTHER}}
model: recorded
suite: [facts]
tasks:
  facts:
    data: [{file: facts.jsonl}]
    id: '{{ id }}'
    prompt: '{{ q }} {{ tests[0] }}'
    max_tokens: 100
    score: {exact: {answer: '{{ gold }}'}}
judges:
  careful: {model: umpire, ask: [Is it right?, Is it short?] SETTINGS}
policy: {temperature: 0.8, best_of: 2, select: {judge: careful}}
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store beside two items, of which the files of answers say nothing yet."""
    items = [{"id": name, "q": "Why?", "tests": ["t1", "t2"], "gold": "G"} for name in "ab"]
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
    for name in ("answers", "judged"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "a", "text": "x"}\n')
    opened = SqliteStore(tmp_path / "store")
    yield opened
    opened.close()


def made(folder: Path, store: SqliteStore, *, further: str = "", settings: str = "") -> tuple[Spec, PlannedStep]:
    text = SPEC.replace(" FURTHER", further).replace(" SETTINGS", settings)
    (folder / "spec.yaml").write_text(text)
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    [step] = plan.make(loaded.spec, Sources(store, notify=print)).steps
    return loaded.spec, step


def _answer(store: SqliteStore, step: PlannedStep, texts: dict[tuple[str, int], str]) -> None:
    [bench] = step.benches
    store.put_completions(
        [
            Completion(cell.request.key, texts[cell.sample.id, cell.request.index], "stop", None, "0" * 64)
            for cell in cells(bench, bench.arms[0])
            if (cell.sample.id, cell.request.index) in texts
        ]
    )


def test_before_the_candidates_are_there_it_is_a_ceiling(tmp_path: Path, store: SqliteStore) -> None:
    """Two items, two candidates, two questions; each answer as long as it may be, on top of the prompt itself."""
    _, step = made(tmp_path, store)
    [judging] = step.judging
    assert (judging.judge, judging.model) == ("careful", "umpire")
    assert (judging.requests, judging.cached, judging.candidates_ahead) == (8, 0, 4)
    assert judging.max_completion_tokens == 8 * 8
    assert judging.continuations == 0
    assert 8 * 100 < judging.prompt_tokens < 8 * (100 + len(PROMPT))
    assert not judging.tokens_exact
    assert step.requests == 4
    assert step.why == (
        "first run of this step; the judge 'careful' has at most 8 questions, as many candidates are not there yet"
    )


def test_what_follows_from_stored_candidates(tmp_path: Path, store: SqliteStore) -> None:
    """Equal ones count once, and what is missing is a ceiling still."""
    _, step = made(tmp_path, store)
    _answer(store, step, {("a", 0): "same", ("a", 1): "same", ("b", 0): "other"})
    _, step = made(tmp_path, store)
    [judging] = step.judging
    assert (judging.requests, judging.candidates_ahead) == (2 + 2 + 2, 1)
    _answer(store, step, {("b", 1): "another"})
    _, step = made(tmp_path, store)
    assert (step.judging[0].requests, step.judging[0].candidates_ahead) == (6, 0)
    assert step.why == "every answer is stored; the judge 'careful' has 6 questions left"


def test_a_judge_that_weighs_writes_nothing(tmp_path: Path, store: SqliteStore) -> None:
    """Yes and no are two continuations of each question."""
    _, step = made(tmp_path, store, further=", likelihoods: logprobs")
    assert (step.judging[0].continuations, step.judging[0].max_completion_tokens) == (16, 0)


def test_no_judge_costs_nothing(tmp_path: Path, store: SqliteStore) -> None:
    _, step = made(tmp_path, store)
    (tmp_path / "spec.yaml").write_text((tmp_path / "spec.yaml").read_text().replace("{judge: careful}", "longest"))
    loaded = load_spec(tmp_path / "spec.yaml")
    assert loaded.spec is not None
    [plain] = plan.make(loaded.spec, Sources(store, notify=print)).steps
    assert plain.judging == ()
    assert plain.key != step.key
    assert isinstance(step.judging[0], PlannedJudging)


def test_a_judge_sees_what_the_prompt_shows_and_no_scorer_reads(tmp_path: Path, store: SqliteStore) -> None:
    """`q` and `tests` stand in the prompt; `gold` and `id` do not, whatever the judge's template asks for."""
    _, step = made(tmp_path, store)
    judge = step.benches[0].arms[0].judge
    assert judge is not None
    assert judge.fields == ("q", "tests")
    with pytest.raises(DataError, match="gold") as raised:
        made(tmp_path, store, settings=", prompt: '{{ answer }} {{ question }} {{ row.gold }}'")
    assert raised.value.hint == (
        "of a row a judge sees what the task's prompt shows and its scorer does not read: q, tests"
    )
    spec = SPEC.replace("exact: {answer: '{{ gold }}'}", "code: {style: asserts, tests: tests}")
    (tmp_path / "spec.yaml").write_text(spec.replace(" FURTHER", "").replace(" SETTINGS", ""))
    loaded = load_spec(tmp_path / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    [step] = plan.make(loaded.spec, Sources(store, notify=print)).steps
    judge = step.benches[0].arms[0].judge
    assert judge is not None
    assert judge.fields == ("q",)


def test_the_lock_has_the_judge(tmp_path: Path, store: SqliteStore) -> None:
    """Its model's digests, the digest of its prompt, its questions; another prompt is a reason to ask again."""
    spec, step = made(tmp_path, store)
    [bench] = step.benches
    [task] = task_locks(spec, bench)
    judge = bench.arms[0].judge
    assert judge is not None
    assert task.judge == JudgeLock(
        judge="careful", model="umpire", prompt=judge.prompt_sha256, questions=("Is it right?", "Is it short?"),
        sampling=judge.sampling,
    )  # fmt: skip
    assert judges_of(bench)["umpire"].parts == judge.fingerprint.parts
    before = Lock(tasks=(task,), models={"recorded": model_lock(bench)})
    (tmp_path / "spec.yaml").write_text((tmp_path / "spec.yaml").read_text().replace("Is it short?", "Is it clear?"))
    loaded = load_spec(tmp_path / "spec.yaml")
    assert loaded.spec is not None
    [other] = plan.make(loaded.spec, Sources(store, notify=print, previous=before)).steps
    assert other.why.startswith("since the last run: facts: the judge changed; ")
    assert other.key != step.key
