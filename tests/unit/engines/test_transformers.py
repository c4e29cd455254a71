"""The adapter's light side: fingerprints, devices, sources, counted tokens. Nothing here imports torch in this process
unless it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Json, Message, Model, Prompt
from evalkit.engines import device, embedded, weights
from evalkit.engines.filedigest import cached_digest
from evalkit.engines.transformers import ADAPTER
from evalkit.fetch import interpreters

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and packages that look installed."""
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    installed = {"torch": "2.13.0+cpu", "transformers": "5.23.0", "peft": "0.21.2"}
    real = metadata.version
    monkeypatch.setattr(interpreters, "version", lambda name: installed.get(name) or real(name))
    monkeypatch.setattr(interpreters, "find_spec", lambda name: name in installed or None)


def model_folder(place: Path, *, template: bool = True, weight: str = "w") -> Path:
    place.mkdir(parents=True)
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_text(weight)
    (place / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>"}))
    if template:
        (place / "chat_template.jinja").write_text(TEMPLATE)
    return place


def at(path: Path, **changes: Json) -> Model:
    return Model(**{"name": "it", "engine": "transformers", "source": {"path": str(path)}, **changes})


def parts(model: Model) -> dict[str, str]:
    return ADAPTER.fingerprint(model).parts


def test_the_fingerprint_names_what_decides(tmp_path: Path) -> None:
    """Versions, weights, tokenizer, template, dtype, kind of device; no path, no name."""
    first = parts(at(model_folder(tmp_path / "a")))
    again = parts(at(model_folder(tmp_path / "b"), name="other"))
    assert first == again
    assert {name: value for name, value in first.items() if name not in ("weights", "tokenizer")} == {
        "torch": "2.13.0+cpu",
        "transformers": "5.23.0",
        "sampler": "1",
        "chat": "true",
        "dtype": "float32",
        "device": "cpu",
    }


def test_every_change_that_matters_shows(tmp_path: Path) -> None:
    """Other weights, another template, no chat, another dtype, an adapter."""
    folder = model_folder(tmp_path / "a")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_text("a")
    other_template = model_folder(tmp_path / "c")
    (other_template / "chat_template.jinja").write_text(TEMPLATE + " ")
    variants = [
        parts(at(folder)),
        parts(at(model_folder(tmp_path / "b", weight="v"))),
        parts(at(other_template)),
        parts(at(folder, chat=False)),
        parts(at(folder, dtype="bfloat16")),
        parts(at(folder, device="cuda:1")),
        parts(at(folder, adapter=str(adapter))),
    ]
    assert len(variants) == len({json.dumps(variant, sort_keys=True) for variant in variants})
    assert parts(at(folder, device="cuda:1")) == parts(at(folder, device="cuda:0"))


def test_the_embedded_model_needs_no_files_to_be_fingerprinted() -> None:
    """Planning works offline; the digest is that of the file in the package."""
    found = parts(Model("it", "transformers", {"embedded": "smollm2-135m"}))
    assert found["weights"] == "gguf-b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53-f32-1"
    assert ADAPTER.count_tokens(Model("it", "transformers", {"embedded": "smollm2-135m"}), []) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": {}}, "needs exactly one of embedded, path, hub"),
        ({"source": {"path": "a", "hub": "b"}}, "needs exactly one of embedded, path, hub"),
        ({"source": {"embedded": "gpt-9"}}, "no embedded model is called 'gpt-9'"),
        ({"source": {"path": "absent"}}, "absent is not a model folder"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"dtype": "int3"}, "unknown dtype 'int3'"),
        ({"adapter": "absent"}, "absent is not an adapter folder"),
        ({"options": {"speed": 9}}, "unknown option 'speed'"),
        ({"options": {"rows": 0}}, "option rows must be a positive number"),
    ],
)
def test_mistakes_of_the_spec_are_named(tmp_path: Path, changes: dict[str, Json], message: str) -> None:
    """Each before anything is loaded."""
    with pytest.raises(SpecError, match=message):
        ADAPTER.fingerprint(at(model_folder(tmp_path / "a"), **changes))


def test_chat_without_a_template_is_refused(tmp_path: Path) -> None:
    """A base model cannot be asked in chat form; left alone it is asked in plain text."""
    folder = model_folder(tmp_path / "a", template=False)
    assert parts(at(folder))["chat"] == "false"
    with pytest.raises(SpecError, match="has no chat template"):
        parts(at(folder, chat=True))


@pytest.mark.parametrize(("package", "extra"), [("torch", "transformers"), ("peft", "train")])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str) -> None:
    """With the line that installs it, before anything is loaded; a plan is made all the same."""
    folder = model_folder(tmp_path / "a")
    (folder / "adapter_config.json").write_text("{}")
    monkeypatch.setattr(interpreters, "find_spec", lambda name: None if name == package else True)
    assert parts(at(folder, adapter=str(folder)))[package] == "not installed"
    with pytest.raises(PrerequisiteError) as caught:
        ADAPTER.open(at(folder, adapter=str(folder)), print)
    assert f"pip install 'evalkit-spec[{extra}]'" == caught.value.hint


@pytest.mark.parametrize(
    ("build", "hidden", "driver", "expected"),
    [
        ("2.13.0+cu130", None, True, ("cuda", "bfloat16")),
        ("2.13.0+cu130", None, False, ("cpu", "float32")),
        ("2.13.0+cu130", "", True, ("cpu", "float32")),
        ("2.13.0+cpu", None, True, ("cpu", "float32")),
    ],
)
def test_auto_takes_cuda_where_it_can_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str, hidden: str | None, driver: bool, expected: Json
) -> None:
    """A driver, a torch that was built for it, nobody hiding it; bfloat16 never by itself on a CPU."""
    monkeypatch.setattr(interpreters, "version", lambda name: build)
    monkeypatch.setattr(device, "_DRIVERS", (__file__ if driver else str(tmp_path / "absent"),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    place = device.resolve(Model("it", "transformers", {}))
    assert expected == (place.device, place.dtype)


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 2), ("max 100000", 8), ("50000 100000", 1), ("?", 8)])
def test_a_containers_quota_limits_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    """Sixty-four threads on two cores' worth of time would only wait for each other."""
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(device, "_CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert cores == device.usable_cores()


def test_digests_are_remembered_and_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read once; a change of size or time reads it again; a fresh one is never trusted."""
    read: list[Path] = []
    monkeypatch.setattr("evalkit.engines.filedigest.digest_file", lambda path: read.append(path) or f"d{len(read)}")
    file = tmp_path / "weights"
    file.write_text("one")
    assert [cached_digest(file), cached_digest(file)] == ["d1", "d2"], "changed less than two seconds ago"
    os.utime(file, (1, 1))
    assert [cached_digest(file), cached_digest(file)] == ["d3", "d3"]
    os.utime(file, (2, 2))
    assert cached_digest(file) == "d4"


def hub_cache(place: Path) -> Path:
    """A hub cache as the hub's own client lays it out, with one model at one commit."""
    repository = place / "models--org--tiny"
    model_folder(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return place


HUB = """
import sys, json
from evalkit.core.errors import EvalkitError
from evalkit.core.types import Model
from evalkit.engines import weights
try:
    model = Model("it", "transformers", {"hub": "org/" + sys.argv[1], "revision": sys.argv[2] or None})
    print(json.dumps([weights.describe(model).identity, str(weights.folder(model, print))[-40:]]))
except EvalkitError as error:
    print(json.dumps([type(error).__name__, error.message]))
"""


@pytest.mark.parametrize("revision", ["", "main", COMMIT])
def test_a_hub_model_is_its_commit(tmp_path: Path, revision: str) -> None:
    """Found in the hub's own cache without a connection; a branch is resolved to the commit it stands for."""
    pytest.importorskip("huggingface_hub")
    environment = {**os.environ, "HF_HUB_CACHE": str(hub_cache(tmp_path / "hub")), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", HUB, "tiny", revision], env=environment, capture_output=True, text=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [COMMIT, COMMIT], done.stderr


@pytest.mark.parametrize("offline", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_an_unreachable_hub_is_a_prerequisite(tmp_path: Path, offline: dict[str, str]) -> None:
    """Offline by choice, or nobody answers."""
    pytest.importorskip("huggingface_hub")
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path), **offline}
    done = subprocess.run([sys.executable, "-c", HUB, "tiny", ""], env=environment, capture_output=True, text=True)
    kind, message = json.loads(done.stdout.splitlines()[-1])
    assert kind == "PrerequisiteError", done.stderr
    assert message.startswith("org/tiny at revision main could not be fetched: ")


def test_a_missing_hub_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra of its own."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PrerequisiteError, match="need the package huggingface_hub") as caught:
        weights.describe(Model("it", "transformers", {"hub": "org/tiny"}))
    assert caught.value.hint == "pip install 'evalkit-spec[hub]'"


def test_tokens_are_counted_with_the_template(tmp_path: Path) -> None:
    """One token a word here: the template's own words count, and special tokens only where no template writes them."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = model_folder(tmp_path / "a")
    words = ["[UNK]", "<s>", "<", ">", "user", "bot", "one", "two", "three"]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("<s> $A", None, [("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    asked = [Prompt((Message("user", "one two three"),)), Prompt(text="one two three")]
    chat = ["<", "user", ">", "one", "two", "three", "<", "bot", ">"]
    assert [len(chat), 4] == ADAPTER.count_tokens(at(folder), asked)
    assert ADAPTER.count_tokens(at(folder, chat=False), asked) == [4, 4]


@pytest.mark.parametrize("module", ["evalkit.engines.transformers", "evalkit.engines.replay", "evalkit.run.workers"])
def test_the_parent_never_imports_a_model_library(module: str) -> None:
    """Importing an adapter is cheap."""
    code = f"import {module}, sys; print([m for m in ('torch', 'transformers', 'numpy', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a folder never looks like a model; the next attempt starts anew."""
    model = embedded.lookup("smollm2-135m")
    monkeypatch.setattr("evalkit.fetch.package.member", lambda *_: tmp_path / "weights.gguf")

    def convert(source: Path, folder: Path) -> None:
        (folder / "half").write_text("half")
        raise PrerequisiteError("stopped")

    monkeypatch.setattr(embedded, "_convert", convert)
    with pytest.raises(PrerequisiteError, match="stopped"):
        embedded.obtain(model, lambda text: None)
    assert embedded.converted(model) is None
    monkeypatch.setattr(embedded, "_convert", lambda source, folder: (folder / "config.json").write_text("{}"))
    assert embedded.obtain(model, lambda text: None) == embedded.converted(model)
