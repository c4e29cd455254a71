"""The run folder's lines of verdicts: whole or not at all, and gone with the results that were made from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit.core.verdicts import Side, VerdictRow
from evalkit.report.folder import read_verdicts
from evalkit.run.record import RunFolder


def _row(item: str) -> VerdictRow:
    player, opponent = (Side(name, name, "0" * 64, 1, 1, "pass", 1.0) for name in "po")
    return VerdictRow("duel", "fair", "u", "c", "t", "test", item, 0, {}, player, opponent, "tie")


def test_verdicts_are_written_whole(tmp_path: Path) -> None:
    """What breaks off in the middle leaves the old file; new rows take its place."""

    def breaking() -> Iterator[VerdictRow]:
        yield _row("2")
        raise KeyboardInterrupt

    with RunFolder(tmp_path / "run") as folder:
        folder.write_verdicts([_row("1")])
        with pytest.raises(KeyboardInterrupt):
            folder.write_verdicts(breaking())
        assert [_row("1")] == list(read_verdicts(folder.path))
        folder.write_verdicts([_row("2"), _row("3")])
        assert [_row("2"), _row("3")] == list(read_verdicts(folder.path))


def test_verdicts_go_with_the_results(tmp_path: Path) -> None:
    """While new rows are written no reader finds verdicts about the old ones."""
    with RunFolder(tmp_path / "run") as folder:
        folder.write_verdicts([_row("1")])
        folder.forget_results()
        assert list(read_verdicts(folder.path)) == []
