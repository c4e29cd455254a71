"""Two steps whose answers cannot differ are a mistake; near misses are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.core.errors import SpecError
from evalkit.core.types import Fingerprint
from evalkit.plan import Sources
from evalkit.plan.arms import check_arms
from evalkit.plan.prepare import prepare
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.spec.model import BenchStep

Check = Callable[..., None]

SPEC = """\
evalkit: 1
models:
  m: {engine: replay, file: answers.jsonl, fields: {id: id, text: text}}
  n: {engine: replay, file: answers.jsonl, fields: {id: id, text: text}}
suites:
  six: {a: {task: toy, split: test}}
  half: {a: {task: toy, split: test, sample: 3}}
  other: {a: {task: toy, split: train}}
  both: {a: {task: toy, split: test}, b: {task: toy, split: train}}
  named: {z: {task: toy, split: test}}
  shown: {a: {task: toy, split: test, shots: 1}}
tasks:
  toy:
    data: {test: [{file: test.jsonl}], train: [{file: train.jsonl}], dev: [{file: train.jsonl}]}
    id: '{{ id }}'
    prompt: 'Say {{ id }}'
    shots: {n: 0, split: dev, answer: '{{ id }}'}
    score: {exact: {answer: '{{ id }}'}}
policies:
  cold: {temperature: 0, seed: 1}
  colder: {temperature: 0, seed: 2, top_p: 0.5, samples: 3}
  longer: {temperature: 0, max_tokens: 9}
  warm: {temperature: 0.8, seed: 1}
  warm_again: {temperature: 0.8, seed: 1}
  warmer: {temperature: 0.8, seed: 2}
  three: {temperature: 0.8, seed: 1, samples: 3}
  first: {temperature: 0.8, seed: 1, best_of: 3, select: first}
  most: {temperature: 0.8, seed: 1, best_of: 3, select: majority}
  least: {temperature: 0.8, seed: 1, best_of: 3, select: shortest}
steps:
"""
GENERATES = Fingerprint("generating", {"weights": "1"})


@pytest.fixture
def checked(tmp_path: Path) -> Check:
    """Checks the steps of a spec as if an engine made the answers; `others` gives models another fingerprint."""
    for split, names in (("test", "abcdef"), ("train", "uvwxyz")):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"id": name}) + "\n" for name in names))
    (tmp_path / "answers.jsonl").write_text(json.dumps({"id": "a", "text": "a"}) + "\n")

    def check(*steps: str, limited: bool = False, others: dict[str, Fingerprint] | None = None) -> None:
        text = SPEC + "".join(f"  {step}\n" for step in steps)
        (tmp_path / "spec.yaml").write_text(text)
        loaded = load_spec(tmp_path / "spec.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        store = SqliteStore(tmp_path / "store")
        benches = []
        for step in loaded.spec.steps.values():
            if isinstance(step, BenchStep):
                [bench] = prepare(loaded.spec, step, Sources(store, notify=print), {})
                benches.append(replace(bench, fingerprint=(others or {}).get(step.model, GENERATES)))
        store.close()
        check_arms(loaded.spec, benches, limited=limited)

    return check


ONE = "one: {bench: six, model: m, policy: cold}"
WARM = "one: {bench: six, model: m, policy: warm}"


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        (ONE, "two: {bench: six, model: m, policy: cold}", "model, items, prompts and sampling are the same"),
        (ONE, "two: {bench: six, model: m, policy: colder}", "both take the likeliest token, where seed, top_p"),
        (ONE, "two: {bench: six, model: n, policy: cold}", "model, items, prompts and sampling are the same"),
        (ONE, "two: {bench: named, model: m, policy: cold}", "model, items, prompts and sampling are the same"),
        (ONE, "two: {bench: six, model: m, policy: cold, batch: 2}", "model, items, prompts"),
        (WARM, "two: {bench: six, model: m, policy: warm_again}", ": model, items, prompts and sampling are the same"),
        (
            WARM,
            "two: {bench: six, model: m, policy: first}",
            "the first of the 3 candidates of 'two' is the one answer",
        ),
    ],
)
def test_what_cannot_differ(checked: Check, one: str, two: str, why: str) -> None:
    """Both steps are named, and why."""
    with pytest.raises(SpecError, match="the answers of steps 'one' and 'two' cannot differ") as caught:
        checked(one, two)
    assert why in str(caught.value)
    assert "repeat: 1" in caught.value.hint


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (WARM, "two: {bench: six, model: m, policy: warmer}"),
        (WARM, "two: {bench: six, model: m, policy: three}"),
        (WARM, "two: {bench: six, model: m, policy: most}"),
        ("one: {bench: six, model: m, policy: most}", "two: {bench: six, model: m, policy: least}"),
        ("one: {bench: six, model: m, policy: most}", "two: {bench: six, model: m, policy: three}"),
        (ONE, "two: {bench: six, model: m, policy: warm}"),
        (ONE, "two: {bench: six, model: m, policy: longer}"),
        (ONE, "two: {bench: other, model: m, policy: cold}"),
        (ONE, "two: {bench: both, model: m, policy: cold}"),
        (ONE, "two: {bench: half, model: m, policy: cold}"),
        (ONE, "two: {bench: shown, model: m, policy: cold}"),
        (ONE, "two: {bench: six, model: m, policy: cold, repeat: 1}"),
        (
            "one: {bench: both, model: m, policy: {default: cold, b: warm}}",
            "two: {bench: both, model: m, policy: {default: cold, b: warmer}}",
        ),
    ],
)
def test_what_can_differ(checked: Check, one: str, two: str) -> None:
    """Another seed where it counts, split, sample, examples, length, selection; one category is enough."""
    checked(one, two)


def test_another_model(checked: Check) -> None:
    """Known by what it is made of, not by its name."""
    checked(ONE, "two: {bench: six, model: n, policy: cold}", others={"n": Fingerprint("generating", {"weights": "2"})})


def test_recorded_answers_are_what_they_are(checked: Check) -> None:
    """Several files of runs are several answers, at temperature 0 as well."""
    recorded = Fingerprint("replay", {"file": "1"}, by_item=True)
    checked(ONE, "two: {bench: six, model: m, policy: colder}", others={"m": recorded})
    with pytest.raises(SpecError, match="'one' and 'two' cannot differ"):
        checked(ONE, "two: {bench: six, model: m, policy: cold}", others={"m": recorded})


def test_a_diagnosis_may_ask_what_is_asked_already(checked: Check) -> None:
    """Its answers are shared. Set side by side they are a mistake all the same."""
    floor = "floor: {diagnose: determinism, model: m, suite: six, policy: cold}"
    checked(ONE, floor)
    checked(ONE, "wobble: {diagnose: consistency, model: m, suite: six, policy: three}")
    with pytest.raises(SpecError, match="'one' and 'floor-first' cannot differ"):
        checked(ONE, floor, "verdict: {compare: [one, floor-first]}")


def test_a_limit_makes_samples_the_same(checked: Check) -> None:
    """With `--limit` a sample of three and of all may be the same items; the spec's are not."""
    checked(ONE, "two: {bench: named, model: m, policy: cold}", limited=True)
    with pytest.raises(SpecError, match="cannot differ"):
        checked(ONE, "two: {bench: six, model: m, policy: cold}", limited=True)
