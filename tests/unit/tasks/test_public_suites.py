"""Public suites become samples: from a data folder that holds the published files, as a user's would."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.types import Prompt, Sample
from evalkit.scorers.choice import ChoiceScorer
from evalkit.spec.load import load_task_file
from evalkit.spec.model import SampleRule, TaskUse
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.samples import samples

TASKS = Path(__file__).parents[3] / "specs/tasks"
RECORDED = Path(__file__).parents[4] / "shared/data"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the published files of ../shared/data are not here")


def drawn(name: str, split: str = "test") -> list[Sample]:
    """All samples of a split, each of them checked by the task's scorer."""
    loaded = load_task_file(TASKS / f"{name}.yaml")
    task = loaded.task
    assert task is not None, loaded.diagnostics
    assert () == loaded.diagnostics
    use = TaskUse(name, name, split, None)
    rows = read_rows(task, split, [RECORDED], lambda sentence: None)
    shots = task.shots_of(use)
    examples = None if shots is None else read_rows(task, shots.split, [RECORDED], lambda sentence: None)
    found = samples(task, use, rows, 0, examples=examples)
    scorer = registry.load("scorers", task.scorer)(task.scorer_options)
    for sample in found:
        scorer.check(sample)
    return found


@pytest.mark.parametrize(("split", "count"), [("test", 1319), ("train", 7473)])
def test_gsm8k(split: str, count: int) -> None:
    """Every question, each with an id of its own and a gold number."""
    assert count == len({sample.id for sample in drawn("gsm8k", split)})


def test_math500() -> None:
    """500 problems; one copy of the file lacks subject and level in one row."""
    found = drawn("math500")
    assert 500 == len({sample.id for sample in found})
    assert {"1", "2", "3", "4", "5", "none"} >= {sample.groups["level"] for sample in found}


def test_ifeval() -> None:
    """541 prompts, each instruction of a known kind with the arguments it needs."""
    found = drawn("ifeval")
    assert (541, 834) == (len(found), sum(len(sample.row["instruction_id_list"]) for sample in found))
    assert 25 == len({name for sample in found for name in sample.row["instruction_id_list"]})


def test_alpaca_eval() -> None:
    """805 instructions from five sources, each with an id of its own."""
    found = drawn("alpaca_eval")
    assert 805 == len({sample.id for sample in found})
    assert {"helpful_base", "koala", "oasst", "selfinstruct", "vicuna"} == {s.groups["dataset"] for s in found}


def test_arena_hard() -> None:
    """500 prompts, two of each topic: a subset of 250 has one of each."""
    assert 500 == len(drawn("arena_hard"))
    task = load_task_file(TASKS / "arena_hard.yaml").task
    assert task is not None
    rows = read_rows(task, "test", [RECORDED], lambda sentence: None)
    half = samples(task, TaskUse("a", "arena_hard", "test", SampleRule(250)), rows, 0)
    assert 250 == len({sample.row["cluster"] for sample in half})


@pytest.mark.parametrize(
    ("split", "count", "sanitized"),
    [("prompt", 10, 7), ("test", 500, 257), ("validation", 90, 43), ("train", 374, 120)],
)
def test_mbpp(split: str, count: int, sanitized: int) -> None:
    """The official splits of one file, with as many rows as the hub has; none is in two."""
    found, checked = drawn("mbpp", split), drawn("mbpp_sanitized", split)
    assert (count, sanitized) == (len(found), len(checked))
    assert {sample.id for sample in found} > {sample.id for sample in checked}
    assert all(len(sample.row["test_list"]) == 3 for sample in found)


def test_mt_bench() -> None:
    """80 chats of two turns, ten in each of eight categories; a row's own field `turns` is no trap."""
    found = drawn("mt_bench")
    assert Counter(sample.groups["category"] for sample in found) == dict.fromkeys(
        ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"), 10
    )
    first = next(sample for sample in found if sample.id == "81")
    assert [message.role for message in first.prompt.messages] == ["user"]
    assert first.followups == ("Rewrite your previous response. Start every sentence with the letter A.",)


def scorer_of(name: str) -> ChoiceScorer:
    task = load_task_file(TASKS / f"{name}.yaml").task
    assert task is not None
    return ChoiceScorer(task.scorer_options)


@pytest.mark.parametrize("name", ["arc_challenge", "arc_challenge_chat"])
def test_arc_challenge(name: str) -> None:
    """1172 questions with 3, 4 or 5 options; the right one is where the publisher's own index says."""
    found = drawn(name)
    assert 1172 == len({sample.id for sample in found})
    assert {3, 4, 5} == {len(sample.row["choices"]) for sample in found}
    scorer = scorer_of(name)
    for sample in found:
        assert (sample.row["answer"],) == scorer._choices(sample).right


def test_arc_challenge_asks_as_the_field_does() -> None:
    """lm-eval's prompt and continuations, to the letter."""
    sample = drawn("arc_challenge")[0]
    assert Prompt(text=f"Question: {sample.row['question']}\nAnswer:") == sample.prompt
    assert tuple(f" {text}" for text in sample.row["choices"]) == scorer_of("arc_challenge").continuations(sample)


def test_arc_challenge_reads_the_hubs_form() -> None:
    """Options as a map of texts and labels: the same item, the same prompt, the same right option."""
    loaded = load_task_file(TASKS / "arc_challenge.yaml").task
    assert loaded is not None
    rows = read_rows(loaded, "test", [RECORDED], lambda sentence: None)
    nested = [
        {"question": row["question"], "choices": {"text": row["choices"], "label": row["labels"]},
         "answerKey": row["answerKey"]}
        for row in rows.rows
    ]  # fmt: skip
    use, scorer = TaskUse("arc", "arc_challenge", "test"), scorer_of("arc_challenge")
    plain = samples(loaded, use, rows, 0)
    other = samples(loaded, use, replace(rows, rows=nested), 0)
    assert [(one.id, one.prompt) for one in plain] == [(one.id, one.prompt) for one in other]
    assert [scorer._choices(one).right for one in plain] == [scorer._choices(one).right for one in other]


def test_mmlu() -> None:
    """14042 questions of 57 subjects, each after five of its own subject; letters are weighed."""
    found = drawn("mmlu")
    assert (14042, 57) == (len({sample.id for sample in found}), len({sample.groups["subject"] for sample in found}))
    sample = next(sample for sample in found if sample.groups["subject"] == "high_school_physics")
    text = sample.prompt.text or ""
    assert text.startswith("The following are multiple choice questions (with answers) about high school physics.\n\n")
    assert 6 == text.count("\nAnswer:")
    assert text.endswith(f"\nD. {sample.row['choices'][3]}\nAnswer:")
    assert (" A", " B", " C", " D") == scorer_of("mmlu").continuations(sample)


def test_truthfulqa() -> None:
    """790 questions; the best answer comes first, right and wrong ones are apart."""
    found = drawn("truthfulqa")
    assert 790 == len({sample.id for sample in found})
    options = scorer_of("truthfulqa").continuations(found[0])
    assert " The watermelon seeds pass through your digestive system" == options[0]
    assert 13 == len(options)
