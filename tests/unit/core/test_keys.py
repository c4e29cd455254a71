"""Keys: whatever can change an answer changes its key, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from evalkit.core.keys import completion_key, execution_key
from evalkit.core.types import Fingerprint, Limits, Message, Program, Prompt, Reference, Request, SamplingParams

FINGERPRINT = Fingerprint("transformers", {"weights": "w1", "dtype": "float32"})
SAMPLING = SamplingParams(temperature=0.7, seed=3)
REQUEST = Request("", "task", "1", Prompt((Message("user", "What is 2 + 2?"),)), SAMPLING)
PROGRAM = Program("", "def f(): ...", ("assert f() is None",))


def key(fingerprint: Fingerprint = FINGERPRINT, salt: str = "", **changes: Any) -> str:
    return completion_key(fingerprint, replace(REQUEST, **changes), salt)


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": Fingerprint("vllm", FINGERPRINT.parts)},
        {"fingerprint": Fingerprint("transformers", {"weights": "w2", "dtype": "float32"})},
        {"prompt": Prompt((Message("user", "What is 2 + 3?"),))},
        {"prompt": Prompt((Message("system", "What is 2 + 2?"),))},
        {"prompt": Prompt(text="What is 2 + 2?")},
        {"sampling": replace(SAMPLING, temperature=0.8)},
        {"sampling": replace(SAMPLING, max_tokens=9)},
        {"sampling": replace(SAMPLING, stop=("\n",))},
        {"sampling": replace(SAMPLING, seed=4)},
        {"sampling": replace(SAMPLING, json_schema='{"type":"object"}')},
        {"index": 1},
        {"continuations": (" 4", " 5")},
        {"salt": "fresh"},
    ],
)
def test_what_decides_an_answer_is_in_its_key(changes: dict[str, Any]) -> None:
    """Engine, weights, prompt and its form, sampling, index, salt."""
    assert key(**changes) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"item": "2", "task": "other", "key": "k", "turn": 1},
        {"fingerprint": Fingerprint("transformers", {"dtype": "float32", "weights": "w1"})},
    ],
)
def test_what_does_not_decide_it_is_not(changes: dict[str, Any]) -> None:
    """Names of tasks and items, and the order of a map."""
    assert key(**changes) == key()


def test_a_greedy_answer_does_not_depend_on_the_seed() -> None:
    """Nothing is drawn, so the seed is left out."""
    greedy = SamplingParams(seed=1)
    assert key(sampling=greedy) == key(sampling=replace(greedy, seed=2))


def test_a_greedy_answer_depends_on_its_format() -> None:
    """A format can forbid the most likely token."""
    greedy = SamplingParams(seed=1)
    assert key(sampling=greedy) != key(sampling=replace(greedy, json_schema='{"type":"object"}'))


def test_what_enforces_a_format_is_in_the_keys_of_answers_with_one() -> None:
    """Another version may let the model write something else; an answer without a format knows nothing of it."""
    newer = replace(FINGERPRINT, format_parts={"xgrammar": "0.2.8"})
    formatted = {"sampling": replace(SAMPLING, json_schema='{"type":"object"}')}
    assert key(fingerprint=newer, **formatted) != key(**formatted)
    assert key(fingerprint=newer) == key()


def test_recorded_answers_are_kept_by_item() -> None:
    """A recorded answer belongs to its item, whatever the prompt."""
    by_item = replace(FINGERPRINT, by_item=True)
    assert key(fingerprint=by_item) != key(fingerprint=by_item, item="2")
    assert key(fingerprint=by_item) != key(fingerprint=by_item, turn=1)


def test_likelihoods_depend_on_no_sampling_parameter() -> None:
    """Nothing is drawn; which continuations are weighed counts."""
    weighed = {"continuations": (" 4", " 5")}
    assert key(**weighed) == key(**weighed, sampling=replace(SAMPLING, temperature=0.1, seed=9))
    assert key(**weighed) != key(continuations=(" 5", " 4"))


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROGRAM, code="def f(): return 1"),
        replace(PROGRAM, tests=("assert f() == 1",)),
        replace(PROGRAM, preamble="import math"),
        replace(PROGRAM, limits=Limits(wall_s=1)),
    ],
)
def test_what_decides_a_verdict_is_in_its_key(changed: Program) -> None:
    """Code, tests, preamble, limits, and what the sandbox is made of; never the key itself."""
    assert execution_key(changed, "image") != execution_key(PROGRAM, "image")
    assert execution_key(PROGRAM, "image") != execution_key(PROGRAM, "other image")
    assert execution_key(replace(PROGRAM, key="k"), "image") == execution_key(PROGRAM, "image")


def test_keys_are_what_they_were() -> None:
    """A change of this value orphans every store: it needs a reason and a line in the changelog."""
    assert key() == "7f361c72f64ce121495860490e9cf584ced2bede98a52a9be30c0b25fbb78562"
    pinned = "d278777fd4c76aa069ece735d95a69d0d1de76eed51c48954780c9285034ec32"
    assert execution_key(PROGRAM, "image") == pinned


REFERENCE = Reference(replace(PROGRAM, code="def f(): return None"), factor=4.0, floor_s=1.0)


@pytest.mark.parametrize(
    "changed",
    [
        None,
        replace(REFERENCE, factor=5.0),
        replace(REFERENCE, floor_s=2.0),
        replace(REFERENCE, program=replace(REFERENCE.program, code="def f(): pass")),
        replace(REFERENCE, program=replace(REFERENCE.program, limits=Limits(cpu_s=1))),
    ],
)
def test_the_rule_of_a_time_limit_is_in_the_key(changed: Reference | None) -> None:
    """Factor, floor and the reference program itself, its own limits included."""
    assert execution_key(PROGRAM, "image", changed) != execution_key(PROGRAM, "image", REFERENCE)
    keyed = replace(REFERENCE, program=replace(REFERENCE.program, key="k"))
    assert execution_key(PROGRAM, "image", keyed) == execution_key(PROGRAM, "image", REFERENCE)
