"""Data sets and models from a hub, at a pinned revision, through the hub's own cache.

Only files are taken: parquet, json, jsonl and csv of a data set, weights in safetensors and tokenizer files of a model.
No code of a repository is ever fetched, let alone executed. What is in the cache at a pinned revision needs no network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from msgspec import Struct

from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.fetch.layout import Choice, choose

_MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_Found = TypeVar("_Found")


class HubFiles(Struct, frozen=True):
    """Files of one data set at one commit: their names in the repository, and where they lie."""

    commit: str
    files: tuple[tuple[str, Path], ...]


class _Wanted(Struct, frozen=True):
    repo: str
    kind: Literal["model", "dataset"]
    revision: str | None

    @property
    def pinned(self) -> bool:
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return f"{'data set' if self.kind == 'dataset' else 'model'} {self.repo}"


def dataset_files(repo: str, revision: str | None, config: str | None, split: str, notify: Notify) -> HubFiles:
    """The data files of one config and split.

    Raises PrerequisiteError when they are neither in the cache nor to be fetched, DataError when the data set has no
    such config or split.
    """
    wanted = _Wanted(repo, "dataset", revision)

    def local(folder: Path) -> tuple[HubFiles, bool] | None:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
        choice = choose(names, _card(folder), config, split)
        return (_placed(folder, choice), choice.whole) if choice.names else None

    def fetch(client: Any) -> HubFiles:
        commit = client.HfApi().dataset_info(repo, revision=revision).sha
        names = client.HfApi().list_repo_files(repo, repo_type="dataset", revision=commit)
        card = _card(_download(client, wanted, commit, ["README.md"])) if "README.md" in names else ""
        choice = choose(names, card, config, split)
        if not choice.names:
            raise DataError(f"{wanted}: {choice.reason}", hint=choice.hint)
        notify(f"fetching {split} of {repo} from the hub")
        patterns = [re.sub(r"([\[*?])", r"[\1]", name) for name in choice.names]
        return _placed(_download(client, wanted, commit, patterns), choice)

    return _obtain(wanted, local, fetch, notify)


def cached_dataset(repo: str, revision: str | None, config: str | None, split: str) -> HubFiles | None:
    """The data files of one config and split where the hub's cache has them, without asking anybody.

    Needs no client: the layout of the cache is public (`datasets--ORG--NAME/snapshots/COMMIT`, `refs/BRANCH`).
    """
    place = _cache_folder() / f"datasets--{repo.replace('/', '--')}"
    reference = place / "refs" / (revision or "main")
    commit = reference.read_text("utf-8").strip() if reference.is_file() else revision or "main"
    folder = place / "snapshots" / commit
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    choice = choose(names, _card(folder), config, split)
    return _placed(folder, choice) if choice.names else None


def _cache_folder() -> Path:
    """The hub's cache, by its own rules."""
    chosen = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(os.environ.get("HF_HOME", default)).expanduser() / "hub"


def model_folder(repo: str, revision: str | None, notify: Notify) -> Path:
    """The folder with a model's (or an adapter's) configuration, tokenizer and safetensors weights.

    The folder's name is the commit. Raises PrerequisiteError when it is neither in the cache nor to be fetched.
    """
    wanted = _Wanted(repo, "model", revision)

    def local(folder: Path) -> tuple[Path, bool] | None:
        return (folder, True) if _has_weights(folder) else None

    def fetch(client: Any) -> Path:
        notify(f"fetching model {repo} from the hub")
        commit = client.HfApi().model_info(repo, revision=revision).sha
        folder = _download(client, wanted, commit, _MODEL_FILES)
        if not _has_weights(folder):
            raise PrerequisiteError(
                f"{wanted} has no complete safetensors weights",
                hint="choose a revision with safetensors, or convert the weights and name the folder as the model",
            )
        return folder

    return _obtain(wanted, local, fetch, notify)


def _obtain(
    wanted: _Wanted,
    local: Callable[[Path], tuple[_Found, bool] | None],
    fetch: Callable[[Any], _Found],
    notify: Notify,
) -> _Found:
    """From the cache where it is surely whole and the revision cannot move, else from the hub, else from the cache."""
    client = _client()
    folder = _snapshot(client, wanted)
    kept = None if folder is None else local(folder)
    if kept is not None and kept[1] and wanted.pinned:
        return kept[0]
    try:
        with _hub_errors(wanted):
            return fetch(client)
    except PrerequisiteError as error:
        if kept is None:
            raise
        notify(f"{error}; taking the copy in the cache")
        return kept[0]


def _client() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise PrerequisiteError(
            "the hub's client is not installed", hint="pip install 'evalkit-spec[hub]' (huggingface_hub)"
        ) from error
    return huggingface_hub


def _snapshot(client: Any, wanted: _Wanted) -> Path | None:
    """The folder of this revision in the hub's cache, whole or not."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = client.snapshot_download(
            wanted.repo,
            repo_type=wanted.kind,
            revision=wanted.revision,
            allow_patterns=["README.md"],
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"'{wanted.repo}' is no name of a repository: {error}", hint="owner/name") from error
    return Path(folder)


def _download(client: Any, wanted: _Wanted, commit: str, patterns: Sequence[str]) -> Path:
    return Path(
        client.snapshot_download(wanted.repo, repo_type=wanted.kind, revision=commit, allow_patterns=list(patterns))
    )


@contextmanager
def _hub_errors(wanted: _Wanted) -> Iterator[None]:
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # of whichever HTTP library it uses

    try:
        yield
    except errors.GatedRepoError as error:
        raise PrerequisiteError(
            f"{wanted} is gated", hint="accept its terms on the hub, then `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise PrerequisiteError(
            f"{wanted} is not on the hub", hint="check its name; a private one needs `hf auth login` or HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise PrerequisiteError(f"{wanted} has no revision '{wanted.revision}'", hint="name a commit") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise PrerequisiteError(f"{wanted} is not to be had: the hub is switched off", hint=_CONNECT) from error
    except (HTTPError, errors.EntryNotFoundError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PrerequisiteError(f"{wanted} could not be fetched: {first}", hint=_CONNECT) from error


_CONNECT = "connect to the network (HF_HUB_OFFLINE unset), or copy the hub's cache here and name it in HF_HOME"


def _card(folder: Path) -> str:
    path = folder / "README.md"
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _placed(folder: Path, choice: Choice) -> HubFiles:
    return HubFiles(folder.name, tuple((name, folder / name) for name in choice.names))


def _has_weights(folder: Path) -> bool:
    """Whether configuration and every shard of the weights are there."""
    if not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        return all((folder / shard).is_file() for shard in shards)
    return any((folder / name).is_file() for name in ("model.safetensors", "adapter_model.safetensors"))
