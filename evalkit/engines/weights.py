"""Where a model's weights come from: an embedded model, a folder, a hub at a revision.

`describe` runs in the parent and is cheap; `folder` runs in the worker and may fetch and convert.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.ports import Notify
from evalkit.core.types import Model
from evalkit.engines import chat, embedded
from evalkit.engines.filedigest import cached_digest

_WEIGHTS = ("*.safetensors", "*.bin", "*.index.json", "config.json", "generation_config.json")
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
_NOT_WEIGHTS = ("*.gguf", "*.onnx", "*.pth", "*.msgpack", "*.h5", "original/*", "onnx/*", "*.md")


class Weights(Struct, frozen=True):
    """What a model is made of. `folder` has the tokenizer, and is None before an embedded model is converted."""

    identity: str
    tokenizer: str
    has_template: bool
    folder: Path | None = None


def describe(model: Model) -> Weights:
    """Digests of weights, tokenizer and chat template; a hub model's commit stands for its weights.

    Raises SpecError for a source that is none, PrerequisiteError when a hub cannot be reached.
    """
    kind, value = _source(model)
    if kind == "embedded":
        known = embedded.lookup(value)
        return Weights(known.identity, known.identity, True, embedded.converted(known))
    if kind == "hub":
        place = _snapshot(model, tokenizer_only=True)
        identity = place.name
    else:
        place = _local(value)
        identity = _digest(place, _WEIGHTS)
    template = chat.template_text(place) is not None
    return Weights(identity, _digest(place, _TOKENIZER), template, place)


def folder(model: Model, notify: Notify) -> Path:
    """The folder with the weights, fetched or converted where that is still to do. Worker only."""
    kind, value = _source(model)
    if kind == "embedded":
        return embedded.obtain(embedded.lookup(value), notify)
    if kind == "path":
        return _local(value)
    notify(f"fetching {value} from the hub (what is not in its cache yet)")
    return _snapshot(model, tokenizer_only=False)


def adapter_digest(path: str) -> str:
    """The digest of a peft adapter's folder. Raises SpecError when it is none."""
    place = Path(path).expanduser()
    if not (place / "adapter_config.json").is_file():
        raise SpecError(f"{place} is not an adapter folder", hint="it must hold adapter_config.json, as peft saves it")
    return _digest(place, ("adapter_config.json", "adapter_model.*"))


def _source(model: Model) -> tuple[str, str]:
    kinds = [kind for kind in ("embedded", "path", "hub") if model.source.get(kind) is not None]
    if len(kinds) != 1:
        raise SpecError(
            f"model '{model.name}' needs exactly one of embedded, path, hub",
            hint="e.g. {path: models/mine} or {hub: org/name, revision: <commit>}",
        )
    return kinds[0], str(model.source[kinds[0]])


def _local(path: str) -> Path:
    place = Path(path).expanduser()
    if not (place / "config.json").is_file():
        raise SpecError(f"{place} is not a model folder", hint="it must hold config.json, as save_pretrained writes it")
    return place


def _digest(place: Path, patterns: Iterable[str]) -> str:
    files = sorted({path for pattern in patterns for path in place.glob(pattern) if path.is_file()})
    return digest({path.name: cached_digest(path) for path in files})


def _snapshot(model: Model, *, tokenizer_only: bool) -> Path:
    """The hub's own cache folder `.../snapshots/COMMIT`; HF_HUB_OFFLINE and HF_HOME are honoured."""
    name, revision = str(model.source["hub"]), model.source.get("revision")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise PrerequisiteError(
            "hub models need the package huggingface_hub", hint="pip install 'evalkit-spec[hub]'"
        ) from error
    wanted = [*_TOKENIZER, "config.json", "generation_config.json"] if tokenizer_only else None
    try:
        found = snapshot_download(
            name, revision=revision, allow_patterns=wanted, ignore_patterns=None if wanted else list(_NOT_WEIGHTS)
        )
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PrerequisiteError(
            f"{name} at revision {revision or 'main'} could not be fetched: {reason[0]}",
            hint="connect to the hub, log in if the model is gated, or use {path: FOLDER} with a copy on disk",
        ) from error
    return Path(found)
