"""What a plan says of judge steps: how many games, how much at most, what is refused, and what of it is locked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit import plan
from evalkit.core.errors import SpecError
from evalkit.core.runfolder import JudgeLock
from evalkit.core.types import Completion, SamplingParams
from evalkit.plan import Plan, Sources, pairing_lock, pairing_models, restricted
from evalkit.run.record import UsedSandbox, lock_of
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.steps.bench import cells
from evalkit.steps.comparing import games_of
from evalkit.steps.pair_judges import PROMPTS
from evalkit.steps.pairing import Pairing

SPEC = """\
evalkit: 1
models:
  mine: {file: answers.jsonl, fields: {id: id, text: text<fields>}}
  theirs: {file: theirs.jsonl, fields: {id: id, text: text<fields>}}
  umpire: {file: judged.jsonl, fields: {id: id, text: text}}
  second: {file: others.jsonl, fields: {id: id, text: text}}
suites: {facts: {c: {task: facts}}}
tasks:
  facts:
    data: [{file: facts.jsonl}]
    id: '{{ id }}'
    prompt: '{{ q }}'
    max_tokens: 100
    score: <score>
judges:
  fair: {model: umpire, ask: [clarity]<settings>}
  strict: {model: second, style: json, retest: 0}
  twin: {model: umpire, retest: 0}
policies:
  several: {temperature: 0.8, samples: 2}
  short: {max_tokens: 30}
  bound: {format: {json_schema: {type: object}}}
steps:
  mine: {bench: facts, model: mine<policy>}
  theirs: {bench: facts, model: theirs}
  duel: {judge: <judges>, of: [mine, theirs]}
"""
DEFAULTS = {
    "score": "{exact: {answer: '{{ gold }}'}}",
    "settings": ", retest: 0",
    "judges": "fair",
    "policy": "",
    "fields": "",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store beside three items, of which the files of answers say nothing yet."""
    items = [{"id": name, "q": "Why?", "tests": ["G", "t2"], "gold": "G"} for name in "abc"]
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items))
    for name in ("answers", "theirs", "judged", "others"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "a", "text": "{name}"}}\n')
    opened = SqliteStore(tmp_path / "store")
    yield opened
    opened.close()


def made(folder: Path, store: SqliteStore, **changed: str) -> Plan:
    text = SPEC
    for name, value in {**DEFAULTS, **changed}.items():
        text = text.replace(f"<{name}>", value)
    (folder / "spec.yaml").write_text(text)
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return plan.make(restricted(loaded.spec, None, ["duel"]), Sources(store, notify=print))


def paired(planned: Plan) -> Pairing:
    [found] = planned.pairings
    return found


def answer(store: SqliteStore, planned: Plan, texts: dict[tuple[str, str], str]) -> None:
    """Store answers by step and item."""
    store.put_completions(
        [
            Completion(cell.request.key, texts[bench.step.name, cell.sample.id], "stop", None, "0" * 64)
            for bench in planned.benches
            for cell in cells(bench, bench.arms[0])
            if (bench.step.name, cell.sample.id) in texts
        ]
    )


def test_before_the_answers_are_there_it_is_a_ceiling(tmp_path: Path, store: SqliteStore) -> None:
    """Three pairs in both orders; both answers as long as they may be, on top of the prompt itself."""
    step = made(tmp_path, store).steps[-1]
    [judging] = step.judging
    assert (step.name, step.verb, step.needs) == ("duel", "judge", ("mine", "theirs"))
    assert (judging.judge, judging.model, judging.compares) == ("fair", "umpire", True)
    assert (judging.requests, judging.cached, judging.candidates_ahead) == (6, 0, 3)
    assert judging.max_completion_tokens == 6 * 512
    assert 6 * 200 < judging.prompt_tokens < 6 * (200 + len(PROMPTS["letters"]) // 2)
    assert not judging.tokens_exact
    assert (step.requests, step.cached, step.benches) == (0, 0, ())
    assert step.why == (
        "compares mine with theirs: the judge 'fair' has at most 6 games, as many answers are not there yet"
    )


@pytest.mark.parametrize(
    ("settings", "requests"),
    [
        (", swap: false, retest: 0", 3),
        (", retest: 0", 6),
        (", retest: 1", 12),
        (", swap: false, retest: 1", 6),
    ],
)
def test_orders_and_retests(tmp_path: Path, store: SqliteStore, settings: str, requests: int) -> None:
    """Pairs × orders × (1 + retest), before and after the answers are there."""
    planned = made(tmp_path, store, settings=settings)
    assert requests == planned.steps[-1].judging[0].requests
    answer(store, planned, {(side, name): f"{side} {name}" for side in ("mine", "theirs") for name in "abc"})
    assert requests == made(tmp_path, store, settings=settings).steps[-1].judging[0].requests


def test_what_follows_from_stored_answers(tmp_path: Path, store: SqliteStore) -> None:
    """Equal answers cost nothing; what is missing is a ceiling still; what a judge said is not asked again."""
    planned = made(tmp_path, store)
    answer(store, planned, {("mine", "a"): "same", ("theirs", "a"): "same", ("mine", "b"): "x", ("theirs", "b"): "y"})
    planned = made(tmp_path, store)
    [judging] = planned.steps[-1].judging
    assert (judging.requests, judging.cached, judging.candidates_ahead) == (4, 0, 1)
    answer(store, planned, {("mine", "c"): "x", ("theirs", "c"): "y"})
    planned = made(tmp_path, store)
    [judging] = planned.steps[-1].judging
    assert (judging.requests, judging.cached, judging.candidates_ahead) == (4, 0, 0)
    assert planned.steps[-1].why == "compares mine with theirs: the judge 'fair' has 4 games left"
    pairing = paired(planned)
    keys = [key for some in games_of(pairing, pairing.judges[0], store, "") for key in some]
    store.put_completions([Completion(key, "[[A]]", "stop", None, "0" * 64) for key in keys[:3]])
    [judging] = made(tmp_path, store).steps[-1].judging
    assert (judging.requests, judging.cached, judging.max_completion_tokens) == (4, 3, 512)
    store.put_completions([Completion(key, "[[A]]", "stop", None, "0" * 64) for key in keys])
    step = made(tmp_path, store).steps[-1]
    assert step.why == "compares mine with theirs: every answer is stored"


def test_several_judges_cost_each(tmp_path: Path, store: SqliteStore) -> None:
    step = made(tmp_path, store, judges="[fair, strict]").steps[-1]
    assert [(one.judge, one.model, one.requests) for one in step.judging] == [
        ("fair", "umpire", 6),
        ("strict", "second", 6),
    ]


def test_a_policy_limits_what_a_judge_writes(tmp_path: Path, store: SqliteStore) -> None:
    [judging] = made(tmp_path, store, settings=", retest: 0, policy: short").steps[-1].judging
    assert judging.max_completion_tokens == 6 * 30


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"score": "{choice: {options: tests, answer: gold}}", "fields": ", likelihoods: logprobs"},
            "step 'duel' compares what was written, and task facts has its options weighed",
        ),
        ({"policy": ", policy: several"}, "step 'duel' compares 2 answers to an item of 'c' with 1"),
        (
            {"score": "{unscored: {}}", "settings": ", retest: 0, reference: true"},
            "the judge 'fair' is to be shown gold answers, and no task of step 'duel' has one",
        ),
        (
            {"judges": "[fair, twin]"},
            "model 'umpire' has one answer to a pair, and the judges 'fair' and 'twin' of step 'duel' both ask for it",
        ),
        (
            {"settings": ", retest: 0, policy: bound"},
            "policy 'bound' has a `format`, and a judge answers in a form of its own",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, store: SqliteStore, changed: dict[str, str], message: str) -> None:
    """Before anything is asked, and with what to do."""
    with pytest.raises(SpecError) as raised:
        made(tmp_path, store, **changed)
    assert message == raised.value.message
    assert raised.value.hint


def test_gold_answers_and_fields(tmp_path: Path, store: SqliteStore) -> None:
    """What the prompt shows and no scorer reads; the gold answers are there for judges that ask for them."""
    category = paired(made(tmp_path, store, settings=", retest: 0, reference: true")).categories["c"]
    assert category.fields == ("q",)
    assert category.references == {"a": "G", "b": "G", "c": "G"}


def test_the_lock_has_who_compared_what(tmp_path: Path, store: SqliteStore) -> None:
    """Judges with prompt, criteria and sampling; both orders or one; the sentences that must stand by the numbers."""
    planned = made(tmp_path, store, settings=", retest: 0, swap: false")
    pairing = paired(planned)
    [judge] = pairing.judges
    lock = lock_of(planned, "0" * 64, UsedSandbox())
    assert lock.pairings == (pairing_lock(planned.spec, pairing),)
    [found] = lock.pairings
    assert (found.step, found.player, found.opponent, found.swap, found.retest) == ("duel", "mine", "theirs", False, 0)
    assert found.judges == (
        JudgeLock(
            judge="fair", model="umpire", prompt=judge.prompt_sha256, questions=("clarity",),
            sampling=SamplingParams(max_tokens=512), style="letters",
        ),
    )  # fmt: skip
    assert found.warnings == (
        "Pairs were judged in one order only: a liking for what stands first cannot be told from a verdict.",
    )
    assert lock.models["umpire"] == pairing_models(pairing)["umpire"]


def test_what_decides_verdicts_is_in_the_key(tmp_path: Path, store: SqliteStore) -> None:
    keys = {
        made(tmp_path, store, **changed).steps[-1].key
        for changed in (
            {},
            {"settings": ", retest: 0.5"},
            {"settings": ", retest: 0, swap: false"},
            {"settings": ", retest: 0, style: json"},
            {"settings": ", retest: 0, prompt: '{{ first }}{{ second }}'"},
            {"settings": ", retest: 0, policy: short"},
            {"judges": "strict"},
        )
    }
    assert len(keys) == 7
