"""Which files hold a config and split: what the card says, else what the names say."""

from __future__ import annotations

import pytest

from evalkit.fetch.layout import choose

CARD = """---
license: mit
configs:
- config_name: main
  data_files:
  - split: train
    path: main/train-*
  - split: test
    path: [main/test-*]
  default: true
- config_name: socratic
  data_dir: soc
  data_files:
  - split: test
    path: test.jsonl
---
# Card
"""
GSM8K = ["README.md", "main/test-00000-of-00001.parquet", "main/train-00000-of-00001.parquet", "soc/test.jsonl"]


@pytest.mark.parametrize(
    ("names", "card", "config", "split", "expected"),
    [
        (GSM8K, CARD, "main", "test", ["main/test-00000-of-00001.parquet"]),
        (GSM8K, CARD, None, "train", ["main/train-00000-of-00001.parquet"]),
        (GSM8K, CARD, "socratic", "test", ["soc/test.jsonl"]),
        (GSM8K, "", "main", "test", ["main/test-00000-of-00001.parquet"]),
        (["data/train.json", "data/test.json", "dataset_infos.json"], "", None, "test", ["data/test.json"]),
        (["test.jsonl", "test.parquet", "contest.jsonl"], "", None, "test", ["test.parquet"]),
        (["cfg/test/0000.parquet", "other/test/0000.parquet"], "", "cfg", "test", ["cfg/test/0000.parquet"]),
        (
            ["d/test-00001-of-00002.parquet", "d/test-00000-of-00002.parquet"],
            "---\nno: [closed\n---\n",
            None,
            "test",
            ["d/test-00000-of-00002.parquet", "d/test-00001-of-00002.parquet"],
        ),
        (
            ["a.jsonl", "b.jsonl"],
            "---\nconfigs:\n- data_files: '*.jsonl'\n---\n",
            None,
            "train",
            ["a.jsonl", "b.jsonl"],
        ),
    ],
)
def test_files_are_chosen(names: list[str], card: str, config: str | None, split: str, expected: list[str]) -> None:
    """Exactly the files of that config and split, in order, in one format."""
    assert expected == list(choose(names, card, config, split).names)


def test_only_one_file_or_numbered_shards_are_surely_whole() -> None:
    """Of files without numbers nobody knows whether one is missing."""
    several = "---\nconfigs:\n- data_files: 'd/*'\n---\n"
    assert [True, True, False] == [
        choose(names, several, None, "train").whole
        for names in (["d/x.csv"], ["d/x-00000-of-00002.csv", "d/x-00001-of-00002.csv"], ["d/x.csv", "d/y.csv"])
    ]


@pytest.mark.parametrize(
    ("names", "card", "config", "split", "reason", "hint"),
    [
        (GSM8K, CARD, "maths", "test", "it has no config 'maths'", "name one as config: default, main, socratic"),
        (GSM8K, CARD, "main", "dev", "config 'main' has no split 'dev'", "splits: test, train"),
        (
            GSM8K[:1] + GSM8K[3:],
            CARD,
            "main",
            "test",
            "the files of split 'test' are not there",
            "declared: main/test-*",
        ),
        (
            ["x/test.csv", "y/test.csv"],
            "",
            None,
            "test",
            "several configs hold split 'test'",
            "name one as config: x, y",
        ),
        (["data.csv"], "", None, "test", "no file is named after split 'test'", "files: data.csv"),
        (["a/test.csv"], "", "b", "test", "no file is named after split 'test' in config 'b'", "files: a/test.csv"),
        (["t-00001-of-00002.csv"], "", None, "t", "1 of 2 shards are missing", "fetch it again"),
        (["README.md"], "", None, "test", "it has no parquet, json or csv files", "files: README.md"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    names: list[str], card: str, config: str | None, split: str, reason: str, hint: str
) -> None:
    """The reason and the choices that there are."""
    choice = choose(names, card, config, split)
    assert ((), reason, hint) == (choice.names, choice.reason, choice.hint)


def test_a_loading_script_is_never_an_option() -> None:
    """A data set that is only code says what to do instead."""
    choice = choose(["mbpp.py", "README.md"], "", None, "test")
    assert choice.hint.startswith("it holds a loading script, which is never executed")
