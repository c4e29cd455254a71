"""The options of `engine: vllm`, and what vLLM's own engine is given for them. Nothing of vLLM is imported here."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.errors import SpecError
from evalkit.core.types import Json, Model
from evalkit.engines import device

_GIB = 1 << 30
_MOST_CPU_GIB = 8
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of LoRA adapters that vLLM reserves memory for."""


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a spec may say. None leaves the choice to vLLM.

    `rows`: answers at a time. `data_parallel`: how many times the model is loaded, each time by a process of its own,
    on `tensor_parallel` devices; `devices` are their numbers, by default from 0. `gpu_memory`: the share of a GPU's
    memory that vLLM takes. `max_model_len`: the context, where the model's own is more than memory holds.
    `quantization` is for weights that are quantized while they are loaded; a quantized checkpoint says so itself.
    """

    rows: int | None = None
    tensor_parallel: int = 1
    data_parallel: int = 1
    devices: tuple[int, ...] = ()
    gpu_memory: float | None = None
    max_model_len: int | None = None
    quantization: str | None = None
    enforce_eager: bool = False
    prefix_caching: bool = True
    batch_invariant: bool = False

    def decisive(self) -> dict[str, str]:
        """Those that change how numbers are computed, where they are not the default, for the fingerprint."""
        told = {
            "tensor_parallel": str(self.tensor_parallel) if self.tensor_parallel > 1 else "",
            "quantization": self.quantization or "",
            "enforce_eager": "true" if self.enforce_eager else "",
            "batch_invariant": "true" if self.batch_invariant else "",
        }
        return {name: value for name, value in told.items() if value}


def read(model: Model) -> Options:
    """The options of a model. Raises SpecError for one that is unknown or out of range."""
    for name in model.options:
        if name not in Options.__struct_fields__:
            known = ", ".join(Options.__struct_fields__)
            raise SpecError(f"model '{model.name}': unknown option '{name}'", hint=f"known: {known}")
    try:
        options = msgspec.convert(model.options, Options)
    except msgspec.ValidationError as error:
        raise SpecError(f"model '{model.name}': a wrong option of the engine vllm: {error}", hint=_HINT) from error
    counts = ("rows", "tensor_parallel", "data_parallel", "max_model_len")
    bad = next((name for name in counts if (getattr(options, name) or 1) < 1 or getattr(options, name) == 0), None)
    if options.gpu_memory is not None and not 0 < options.gpu_memory <= 1:
        bad = "gpu_memory"
    if bad is not None:
        raise SpecError(f"model '{model.name}': option {bad} cannot be {model.options[bad]}", hint=_HINT)
    wanted = options.tensor_parallel * options.data_parallel
    if options.devices and len(options.devices) != wanted:
        raise SpecError(
            f"model '{model.name}': {len(options.devices)} devices for tensor_parallel {options.tensor_parallel} times "
            f"data_parallel {options.data_parallel}",
            hint="name as many as the two make, or leave `devices` out",
        )
    return options


_HINT = "rows, tensor_parallel, max_model_len are counts from 1, gpu_memory is a share above 0 up to 1"


def replicas(model: Model, options: Options, *, on_cuda: bool) -> list[Model]:
    """The model as each process loads it: with its own devices where there are any."""
    if options.data_parallel == 1:
        return [model]
    each, shared = options.tensor_parallel, {**model.options, "data_parallel": 1}
    devices = options.devices or tuple(range(each * options.data_parallel))
    own = [list(devices[number * each : (number + 1) * each]) for number in range(options.data_parallel)]
    return [replace(model, options=shared | ({"devices": some} if on_cuda else {})) for some in own]


def engine_arguments(model: Model, folder: Path, dtype: str, options: Options) -> dict[str, Json]:
    """What vLLM's EngineArgs get. The model's own generation defaults never enter (`generation_config`)."""
    found: dict[str, Json] = {
        "model": str(folder),
        "dtype": dtype,
        "seed": 0,
        "generation_config": "vllm",
        "tensor_parallel_size": options.tensor_parallel,
        "enforce_eager": options.enforce_eager,
        "enable_prefix_caching": options.prefix_caching,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "disable_log_stats": False,
        "max_num_seqs": options.rows,
        "gpu_memory_utilization": options.gpu_memory,
        "max_model_len": options.max_model_len,
        "quantization": options.quantization,
    }
    if model.adapter is not None:
        found |= {
            "enable_lora": True,
            "max_loras": 1,
            "max_lora_rank": reserved_rank(model.adapter),
            "lora_target_modules": adapted_modules(model.adapter),
        }
    return {name: value for name, value in found.items() if value is not None}


def adapted_modules(adapter: str) -> list[str] | None:
    """The layers that an adapter changes, by the ends of their names; None where its config does not list them.

    vLLM wraps no others. A wrapped last layer is none too many: vLLM 0.32 ends with a shape error when it is asked for
    log-probabilities of prompts there, whether the adapter changes it or not.
    """
    found = _adapter_config(adapter).get("target_modules")
    return sorted(found) if isinstance(found, list) else None


def check_weighing(model: Model) -> None:
    """Raises SpecError where the adapter reaches the last layer, or may."""
    if model.adapter is None:
        return
    modules = adapted_modules(model.adapter)
    if modules is None or "lm_head" in modules:
        raise SpecError(
            f"model '{model.name}': vLLM cannot weigh continuations with an adapter that changes lm_head"
            + ("" if modules else ", and this one does not list what it changes"),
            hint="use engine: transformers for this task",
        )


def reserved_rank(adapter: str) -> int:
    """The smallest rank vLLM can reserve that holds every layer of an adapter. Raises SpecError for one above all."""
    config = _adapter_config(adapter)
    rank = max([config.get("r") or 1, *(config.get("rank_pattern") or {}).values()])
    found = next((known for known in _RANKS if known >= rank), None)
    if found is None:
        raise SpecError(
            f"the adapter {adapter} has rank {rank}, vLLM takes up to {_RANKS[-1]}",
            hint="use engine: transformers, or merge the adapter",
        )
    return found


def _adapter_config(adapter: str) -> dict[str, Json]:
    found: dict[str, Json] = json.loads((Path(adapter).expanduser() / "adapter_config.json").read_text("utf-8"))
    return found


def cpu_cache_gib() -> int:
    """Memory for keys and values on a CPU, in whole GiB: a quarter of what is free, within bounds."""
    return max(1, min(_MOST_CPU_GIB, device.available_bytes() // 4 // _GIB))
