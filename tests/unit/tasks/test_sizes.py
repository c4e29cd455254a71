"""The published sizes that the shipped tasks declare."""

from __future__ import annotations

import pytest

from evalkit import assets
from evalkit.spec.load import load_task_file
from evalkit.spec.model import Task

PATHS = sorted((assets.folder("specs") / "tasks").glob("*.yaml"))


def task_of(name: str) -> Task:
    loaded = load_task_file(assets.folder("specs") / "tasks" / f"{name}.yaml")
    assert loaded.task is not None, loaded.diagnostics
    return loaded.task


def ships(task: Task) -> bool:
    """Whether the rows come with evalkit, and can be counted."""
    places = [place for split in task.data.values() for place in split]
    return all(place.file is not None and (task.folder / place.file).is_file() for place in places)


@pytest.mark.parametrize("name", [path.stem for path in PATHS])
def test_data_that_has_to_be_brought_has_a_size(name: str) -> None:
    """Of every split: it is shown while the data is not there, and compared when it comes."""
    task = task_of(name)
    assert ships(task) or set(task.size) == set(task.data)


@pytest.mark.parametrize(("name", "chat"), [("arc_challenge", "arc_challenge_chat"), ("mmlu", "mmlu_chat")])
def test_tasks_over_the_same_data_have_one_size(name: str, chat: str) -> None:
    """Whichever way they ask."""
    assert task_of(name).data == task_of(chat).data
    assert task_of(name).size == task_of(chat).size
