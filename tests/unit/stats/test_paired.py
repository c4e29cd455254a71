"""Paired verdicts: oracles computed elsewhere, scipy, and the published comparison of twelve fine-tuned models."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from scipy.stats import binomtest

from evalkit.stats.paired import Discordant, discordant, mcnemar_exact

_GOLDEN = Path(__file__).parents[3].resolve().parent / "shared/data/golden/mbpp_finetune_compare"


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (2, 9, 0.065430),
        (0, 1, 1.0),
        (0, 0, 1.0),
        (0, 5, 0.0625),
        (0, 6, 0.03125),
        (10, 25, 0.016674),
        (5, 15, 0.041389),
        (7, 7, 1.0),
    ],
)
def test_known_values(only_first: int, only_second: int, p: float) -> None:
    """Both ways round."""
    assert p == pytest.approx(mcnemar_exact(only_first, only_second), abs=5e-7)
    assert mcnemar_exact(only_first, only_second) == mcnemar_exact(only_second, only_first)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 61, 400, 2000])
def test_against_scipy(n: int) -> None:
    """It is the exact binomial test of one half."""
    for count in {0, 1, n // 3, n // 2, n}:
        expected = binomtest(count, n, 0.5).pvalue
        assert expected == pytest.approx(mcnemar_exact(count, n - count), rel=1e-9)


def test_pairs() -> None:
    """What both pass or both fail says nothing."""
    assert Discordant(2, 1) == discordant([(True, True), (True, False), (False, True), (False, False), (True, False)])


def test_no_counts() -> None:
    """A negative count is a mistake of the caller."""
    with pytest.raises(ValueError, match="no counts"):
        mcnemar_exact(-1, 2)


@pytest.mark.skipif(not _GOLDEN.is_dir(), reason="the published verdicts of ../shared/data are not here")
def test_twelve_fine_tuned_models() -> None:
    """Pass counts, both discordant counts and the exact p of every variant against the base model."""
    expected = json.loads((_GOLDEN / "expected.json").read_text("utf-8"))
    with gzip.open(_GOLDEN / "verdicts.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    assert (13, 590) == (len(expected), len(rows))
    for name, known in expected.items():
        found = discordant((row[name], row["base"]) for row in rows)
        assert (known["passed"], known["only_variant"], known["only_base"]) == (sum(row[name] for row in rows), *found)
        assert known["mcnemar_exact_p"] == pytest.approx(mcnemar_exact(*found), rel=1e-12)
