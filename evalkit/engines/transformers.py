"""Models on this machine through transformers: CPU or CUDA, with our own sampler.

The adapter is light and runs in the parent; `open` runs in a worker process and is the only place that loads a model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from evalkit.core.errors import EvalkitError, PrerequisiteError, SpecError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Fingerprint, Json, Model, Request, Void
from evalkit.engines import device, weights
from evalkit.engines.batching import Budget, Group, questions
from evalkit.engines.enforced import check_enforced
from evalkit.engines.folder import FolderAdapter, chats
from evalkit.engines.grammar import GRAMMAR_VERSION
from evalkit.fetch.interpreters import importable, installed

if TYPE_CHECKING:
    from pathlib import Path

    from evalkit.engines.sampler import Sampler
    from evalkit.engines.weigher import Weigher

_SAMPLER = "1"
"""Raise it when what the sampler answers or the weigher says changes: what is stored of the old is then not taken for
the new one's."""
_OPTIONS = {"rows": "answers generated at a time", "tokens": "tokens held in memory", "threads": "CPU threads"}
_EXTRAS = {"peft": "train", "xgrammar": "structured"}
_GIB = 1 << 30


class TransformersAdapter(FolderAdapter):
    """Registered as `transformers`."""

    def fingerprint(self, model: Model) -> Fingerprint:
        """Weights, tokenizer, template, adapter, library versions, dtype and kind of device.

        A library that is not installed yet is part of it as such: a plan can be made before the large downloads.
        """
        versions = {name: _version(name, model.python) or "not installed" for name in ("torch", "transformers")}
        _options(model)
        place, made_of = device.resolve(model), weights.describe(model)
        parts = {
            **versions,
            "sampler": _SAMPLER,
            "weights": made_of.identity,
            "tokenizer": made_of.tokenizer,
            "chat": str(chats(model, made_of)).lower(),
            "dtype": place.dtype,
            "device": place.kind,
        }
        if model.adapter is not None:
            parts |= {
                "adapter": weights.adapter_digest(model.adapter),
                "peft": _version("peft", model.python) or "not installed",
            }
        return Fingerprint("transformers", parts)

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        """The version of xgrammar, and of how it is used here; a schema that it would only obey in part is an error."""
        _require("xgrammar", model.python)
        for schema in schemas:
            check_enforced(schema)
        return {"xgrammar": _version("xgrammar", model.python) or "", "grammar": GRAMMAR_VERSION}

    def batched(self, model: Model, answers: int) -> Model:
        return replace(model, options={**model.options, "rows": answers})

    def open(self, model: Model, notify: Notify) -> TransformersEngine:
        """Load the model on the resolved device. Raises PrerequisiteError when device, package or weights fail."""
        for name in ("torch", "transformers", *(["peft"] if model.adapter else [])):
            _require(name)
        place, options = device.resolve(model), _options(model)
        _quiet()
        _set_up_torch(place, options.get("threads", device.usable_cores()))
        folder = weights.folder(model, notify)
        notify(f"loading {model.name} on {place.device} in {place.dtype}")
        try:
            loaded, tokenizer = _load(folder, model, place)
        except EvalkitError:
            raise
        except Exception as error:
            raise PrerequisiteError(
                f"model '{model.name}' cannot be loaded from {folder}: {type(error).__name__}: {error}",
                hint="the folder must be one that transformers' AutoModelForCausalLM loads, of the versions installed",
            ) from error
        return TransformersEngine(model, loaded, tokenizer, options)


class TransformersEngine:
    """A loaded model. `sampler` may be driven directly where prompts are tokenised already."""

    def __init__(self, model: Model, loaded: Json, tokenizer: Json, options: dict[str, int]) -> None:
        from evalkit.engines.codec import TokenizerCodec
        from evalkit.engines.grammar import Grammars
        from evalkit.engines.sampler import Sampler
        from evalkit.engines.weigher import Weigher

        template = getattr(tokenizer, "chat_template", None) is not None
        self.chat = template and model.chat is not False
        self.codec = TokenizerCodec(tokenizer, loaded)
        context = getattr(loaded.config.get_text_config(decoder=True), "max_position_embeddings", None)
        budget = budget_for(loaded, options)
        grammars = Grammars(tokenizer, loaded, self.codec.stop_ids)
        self.sampler: Sampler = Sampler(loaded, self.codec, budget, context, grammars)
        self.weigher: Weigher = Weigher(loaded, budget, context)

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Answers as they finish, what is weighed before what is written; prompts of equal requests are computed
        once."""
        yield from self._weigh([request for request in requests if request.continuations])
        groups = []
        for question in questions([request for request in requests if not request.continuations]):
            text, ids = self.codec.encode(question.prompt, self.chat)
            groups.append(Group(text, ids, question.sampling, question.requests))
        yield from self.sampler.generate(groups)

    def _weigh(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        from evalkit.engines.weigher import Pan

        pans = []
        for request in requests:
            text, context, continuations = self.codec.encode_pairs(request.prompt, request.continuations, self.chat)
            if all(continuations):
                pans.append(Pan(request, text, context, tuple(continuations)))
            else:
                empty = request.continuations[continuations.index(())]
                yield Void(request.key, f"the continuation {empty!r:.80} has no tokens of its own", "engine")
        yield from self.weigher.weigh(pans)

    def close(self) -> None:
        """Give the model's memory back."""
        self.sampler.model = self.weigher.model = None


def budget_for(loaded: Json, options: dict[str, int]) -> Budget:
    """Rows and tokens that the machine can hold beside the weights; `options` overrule it."""
    import torch

    config = loaded.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", 1)
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = (getattr(config, "num_key_value_heads", None) or heads) * width
    token_bytes = 2 * config.num_hidden_layers * keys * loaded.dtype.itemsize
    if loaded.device.type == "cuda":
        room, rows, prefill = int(torch.cuda.mem_get_info(loaded.device)[0] * 0.6), 256, 32768
    else:
        room, rows, prefill = min(4 * _GIB, device.available_bytes() // 3), 64, 4096
    tokens = options.get("tokens", max(1, room // token_bytes))
    return Budget(rows=options.get("rows", rows), tokens=tokens, prefill=prefill)


def _load(folder: Path, model: Model, place: device.Placement) -> tuple[Json, Json]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, place.dtype), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if model.adapter is not None:
        from peft import PeftModel

        # The adapter stays beside the weights: merging it would round it away in half precision.
        loaded = PeftModel.from_pretrained(loaded, model.adapter).get_base_model()
    return loaded.to(place.device).eval(), tokenizer


def _set_up_torch(place: device.Placement, threads: int) -> None:
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        torch.empty(1, device=place.device)
    except (RuntimeError, AssertionError) as error:
        raise PrerequisiteError(
            f"the device {place.device} cannot be used: {str(error).splitlines()[0]}",
            hint="set device: cpu, or install a torch that fits the driver (https://pytorch.org/get-started)",
        ) from error


def _quiet() -> None:
    """Settings that count only before torch and transformers are imported.

    A spinning OpenMP team starves whoever shares a core with it, and waits ten times as long itself.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _version(package: str, python: str | None = None) -> str | None:
    return importable(package) if python is None else installed(python, package)


def _require(package: str, python: str | None = None) -> None:
    if _version(package, python) is None:
        extra = _EXTRAS.get(package, "transformers")
        hint = f"pip install 'evalkit-spec[{extra}]'" if python is None else f"{python} -m pip install {package}"
        raise PrerequisiteError(f"the package {package} is not installed", hint=hint)


def _options(model: Model) -> dict[str, int]:
    for name, value in model.options.items():
        if name not in _OPTIONS:
            raise SpecError(f"model '{model.name}': unknown option '{name}'", hint=f"known: {', '.join(_OPTIONS)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SpecError(f"model '{model.name}': option {name} must be a positive number", hint=_OPTIONS[name])
    return dict(model.options)


ADAPTER = TransformersAdapter()
