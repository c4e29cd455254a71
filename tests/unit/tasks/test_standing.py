"""How the splits of a task stand on this machine: counted, not guessed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evalkit.spec.model import DataSource, RowRange, Task
from evalkit.tasks.standing import standing


def test_the_part_of_a_file_that_is_the_split_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two splits of one file; the name of the field never becomes a path of the cache."""
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"../nr": {n}}}\n' for n in range(1, 11)))
    os.utime(tmp_path / "rows.jsonl", (1, 1))  # what has just been written is not noted: it may change again
    whole = DataSource(file="rows.jsonl")
    data = {
        "all": (whole,),
        "test": (DataSource(file="rows.jsonl", rows=RowRange("../nr", 1, 3)),),
        "train": (DataSource(file="rows.jsonl", rows=RowRange("../nr", 4, 10)),),
    }
    task = Task("t", "", "", "", "t", data, "{{ nr }}", "exact", {}, folder=tmp_path)
    for _ in range(2):  # the second time from the notes
        found = {split: standing(task, split, ()).rows for split in data}
        assert {"all": 10, "test": 3, "train": 7} == found
    assert ["cache", "rows.jsonl"] == sorted(path.name for path in tmp_path.iterdir())
