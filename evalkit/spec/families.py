"""Whether two models are one, or of one family, by what they are called.

A judge shares the habits of its family, so its verdicts about a sibling are no outsider's. Names are all that a spec
has: of hub ids and of names on a server what matters are the words that vendors use (`gpt-4o` is a gpt, `QwQ` and
`DeepSeek-R1-Distill-Qwen` are of Qwen's); of other names all but sizes and kinds. It is a heuristic: a family that it
does not see is not excluded. Architectures say less: many small models use Llama's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evalkit.core.types import Json
from evalkit.spec.servers import OPENAI_URL, address_problem, spelling

_WORDS = {
    "gpt": "gpt", "chatgpt": "gpt", "o1": "gpt", "o3": "gpt", "o4": "gpt", "davinci": "gpt",
    "claude": "claude", "gemini": "gemini", "gemma": "gemma", "codegemma": "gemma",
    "llama": "llama", "codellama": "llama", "tinyllama": "llama", "vicuna": "llama", "alpaca": "llama",
    "qwen": "qwen", "qwq": "qwen", "deepseek": "deepseek",
    "mistral": "mistral", "mixtral": "mistral", "ministral": "mistral", "codestral": "mistral", "magistral": "mistral",
    "phi": "phi", "smollm": "smollm", "granite": "granite", "olmo": "olmo", "falcon": "falcon", "command": "command",
    "glm": "glm", "chatglm": "glm", "yi": "yi", "starcoder": "starcoder", "grok": "grok", "nova": "nova",
    "internlm": "internlm", "kimi": "kimi", "pythia": "pythia",
}  # fmt: skip
"""Words in names of models → the family."""
_KINDS = frozenset({
    "instruct", "chat", "base", "it", "hf", "preview", "latest", "turbo", "mini", "small", "medium", "large", "coder",
    "code", "math", "dpo", "sft", "rlhf", "awq", "gptq", "gguf", "fp8", "int4", "int8", "bnb", "bit", "final",
    "checkpoint", "model",
})  # fmt: skip
_SIZE = re.compile(r"v?\d+(\.\d+)*[bmk]?|\d+x\d+b|q\d.*")
_WHERE = ("embedded", "hub", "path", "file", "base_url", "name")
_WEIGHTS = (*_WHERE, "revision", "adapter")


def identity(model: Mapping[str, Json]) -> Json:
    """What makes a model the one that it is, however a spec calls it: where its weights or its answers come from."""
    return _told(model, _WEIGHTS)


def base_of(model: Mapping[str, Json]) -> Json:
    """The same without what was made of it: another revision, an adapter."""
    return _told(model, _WHERE)


def _told(model: Mapping[str, Json], keys: Sequence[str]) -> dict[str, Json]:
    """An address is in one spelling, also where it is left out."""
    found = {key: model[key] for key in keys if key in model}
    if "name" in found and "base_url" in keys:
        address = found.get("base_url", OPENAI_URL)
        found["base_url"] = address if address_problem(address) else spelling(address)
    return found


def shared_family(one: Mapping[str, Json], other: Mapping[str, Json]) -> str | None:
    """The family that two models have in common, by what they are called where they come from; None for none."""
    common = sorted(families(_called(one)) & families(_called(other)))
    if common:
        return common[0]
    return _called(one) or None if base_of(one) == base_of(other) else None


def _called(model: Mapping[str, Json]) -> str:
    """A model's own name; of recorded answers there is none."""
    for key in ("hub", "name", "embedded", "path"):
        if isinstance(model.get(key), str):
            return str(model[key]).rstrip("/").rpartition("/")[2]
    return ""


def families(name: str) -> set[str]:
    """The families that a model's name says it is of; empty for a name that says nothing."""
    parts = [part for part in re.split(r"[^a-z0-9.]+", name.lower()) if part]
    stems = {re.match(r"[a-z]*", part)[0] for part in parts}  # type: ignore[index]  # it matches any text
    known = {_WORDS[word] for word in (*parts, *stems) if word in _WORDS}
    if known:
        return known
    rest = [part for part in parts if part not in _KINDS and not _SIZE.fullmatch(part)]
    return {"-".join(rest)} if rest else set()
