"""Which files of a data set repository hold a config and split.

The card says it (`configs:` in the head of README.md), else the files' names do: `main/test-00000-of-00001.parquet`,
`data/train-*.parquet`, `test.jsonl`, `sanitized/test/0000.parquet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import yaml
from msgspec import Struct

from evalkit.core.types import Json

_PREFERRED = (".parquet", ".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=\.)")


class Choice(Struct, frozen=True):
    """The files chosen, in order; none, with the reason and a hint, when the config or split is not there.

    `whole` is true when the names alone prove that no file is missing: one file, or numbered shards.
    """

    names: tuple[str, ...] = ()
    whole: bool = False
    reason: str = ""
    hint: str = ""


def choose(names: Sequence[str], card: str, config: str | None, split: str) -> Choice:
    """The data files of one config and split among a repository's file names. `card` is the text of README.md."""
    data = sorted(name for name in names if name.endswith(_PREFERRED) and not PurePosixPath(name).name.startswith("."))
    if not data:
        return Choice(reason="it has no parquet, json or csv files", hint=_no_data_hint(names))
    declared = _configs(card)
    if declared:
        return _declared(data, declared, config, split)
    named = [name for name in data if _speaks_of(name, split) and (config is None or _within(name, config))]
    if not named:
        inside = f" in config '{config}'" if config else ""
        return Choice(reason=f"no file is named after split '{split}'{inside}", hint=f"files: {_some(data)}")
    folders = sorted({str(PurePosixPath(name).parent) for name in named})
    if config is None and len(folders) > 1:
        return Choice(reason=f"several configs hold split '{split}'", hint=f"name one as config: {_some(folders)}")
    return _of_one_format(named)


def _declared(data: Sequence[str], configs: dict[str, dict[str, list[str]]], config: str | None, split: str) -> Choice:
    name = config or ("default" if "default" in configs or len(configs) > 1 else next(iter(configs)))
    if name not in configs:
        reason = f"it has no config '{config}'" if config else "it has several configs"
        return Choice(reason=reason, hint=f"name one as config: {_some(sorted(configs))}")
    splits = configs[name]
    if split not in splits:
        return Choice(reason=f"config '{name}' has no split '{split}'", hint=f"splits: {_some(sorted(splits))}")
    found = [item for item in data if any(_matches(item, pattern) for pattern in splits[split])]
    if not found:
        return Choice(reason=f"the files of split '{split}' are not there", hint=f"declared: {_some(splits[split])}")
    return _of_one_format(found)


def _configs(card: str) -> dict[str, dict[str, list[str]]]:
    """Config → split → patterns, from the card's head; empty where it declares no data files.

    The config marked as default is entered as `default` too.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for entry in _entries(card):
        folder = f"{entry['data_dir'].strip('/')}/" if isinstance(entry.get("data_dir"), str) else ""
        splits: dict[str, list[str]] = {}
        for split, pattern in _patterns(entry.get("data_files")):
            splits.setdefault(split, []).append(folder + pattern.removeprefix("./"))
        if splits:
            found[str(entry.get("config_name", "default"))] = splits
            if entry.get("default") is True:
                found.setdefault("default", splits)
    return found


def _entries(card: str) -> list[dict[str, Json]]:
    head = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|\Z)", card, re.DOTALL)
    if head is None:
        return []
    try:
        value = yaml.safe_load(head[1])
    except yaml.YAMLError:  # a card is prose; the files' names decide then
        return []
    configs = value.get("configs") if isinstance(value, dict) else None
    return [entry for entry in configs if isinstance(entry, dict)] if isinstance(configs, list) else []


def _patterns(data_files: Json) -> Iterator[tuple[str, str]]:
    """Pairs of split and pattern; patterns without a split are the split `train`."""
    for item in data_files if isinstance(data_files, list) else [data_files]:
        if isinstance(item, str):
            yield "train", item
        elif isinstance(item, dict):
            paths = item.get("path")
            for path in paths if isinstance(paths, list) else [paths]:
                if isinstance(path, str):
                    yield str(item.get("split", "train")), path


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, pattern.replace("**/", ""))


def _speaks_of(name: str, split: str) -> bool:
    return re.search(rf"(?:^|[/._-]){re.escape(split)}(?:[/._-])", name) is not None


def _within(name: str, config: str) -> bool:
    return config in PurePosixPath(name).parts[:-1]


def _of_one_format(names: Sequence[str]) -> Choice:
    """The same rows often lie there in two formats: the first in `_PREFERRED` counts."""
    suffix = next(suffix for suffix in _PREFERRED if any(name.endswith(suffix) for name in names))
    kept = tuple(name for name in names if name.endswith(suffix))
    shards = [match for name in kept if (match := _SHARD.search(name))]
    if len(shards) != len(kept):
        return Choice(kept, whole=len(kept) == 1)
    missing = sorted(set(range(int(shards[0][2]))) - {int(shard[1]) for shard in shards})
    if missing:
        return Choice(reason=f"{len(missing)} of {int(shards[0][2])} shards are missing", hint="fetch it again")
    return Choice(kept, whole=True)


def _no_data_hint(names: Sequence[str]) -> str:
    if any(name.endswith(".py") for name in names):
        return (
            "it holds a loading script, which is never executed: "
            "use the revision refs/convert/parquet, or a file of your own"
        )
    return f"files: {_some(sorted(names))}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
