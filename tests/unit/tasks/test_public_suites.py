"""Public suites become samples: from a data folder that holds the published files, as a user's would."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evalkit.core import registry
from evalkit.core.types import Sample
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
    rows = read_rows(task, split, [RECORDED], lambda sentence: None)
    found = samples(task, TaskUse(name, name, split, None), rows, 0)
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
