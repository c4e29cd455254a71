"""Loading a folder as a user has it: a tiny random model with a tokenizer, through the adapter's `open`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines.transformers import ADAPTER

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")

WORDS = [*"abcdefghijklmnopqrstuvwxyz", "<end>", "user", "bot"]
END = WORDS.index("<end>")
TEMPLATE = "{% for m in messages %}user {{ m.content }}{% endfor %}{% if add_generation_prompt %} bot{% endif %}"
ASKED = Prompt((Message("user", "a b c"),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    place = tmp_path_factory.mktemp("model")
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="a")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(place)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=len(WORDS),
        num_key_value_heads=2,
        initializer_range=0.6,
        eos_token_id=END,
        max_position_embeddings=64,
        **sizes,
    )
    model = LlamaForCausalLM(config)
    # What a model's publisher likes must not become what was measured.
    model.generation_config.update(do_sample=True, temperature=0.1, top_k=1, repetition_penalty=5.0, max_new_tokens=2)
    model.save_pretrained(place)
    return place


def answer(place: Path, sampling: SamplingParams, prompt: Prompt = ASKED, **changes: Json) -> Completion | Void:
    engine = ADAPTER.open(Model("it", "transformers", {"path": str(place)}, **changes), lambda text: None)
    (found,) = engine.generate([Request("key", "t", "1", prompt, sampling)])
    engine.close()
    return found


def generated(model: Any, place: Path, text: str) -> str:
    """Twelve greedy tokens by transformers' own loop."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(place)
    batch = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    model.generation_config = GenerationConfig(eos_token_id=END, pad_token_id=END)
    out = model.generate(**batch, do_sample=False, max_new_tokens=12)
    return str(tokenizer.decode(out[0, batch["input_ids"].shape[1] :], skip_special_tokens=True))


def base(place: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()


def test_the_models_own_generation_defaults_do_not_leak(folder: Path) -> None:
    """The folder asks for temperature 0.1, top-k 1 and a penalty: a greedy request stays plain greedy."""
    found = answer(folder, SamplingParams(max_tokens=12))
    assert isinstance(found, Completion)
    assert SamplingParams(max_tokens=12) == found.effective
    assert generated(base(folder), folder, "user a b c bot") == found.text


def test_a_drawn_answer_reports_what_was_used(folder: Path) -> None:
    """Every parameter, read back from the processors."""
    sampling = SamplingParams(0.7, 0.9, 20, 0.01, 1.1, max_tokens=5, stop=("zz",), seed=3)
    found = answer(folder, sampling)
    assert isinstance(found, Completion)
    assert sampling == found.effective


def test_chat_can_be_switched_off(folder: Path) -> None:
    """Then the contents of the messages are the text that is continued."""
    found = answer(folder, SamplingParams(max_tokens=12), chat=False)
    assert isinstance(found, Completion)
    assert generated(base(folder), folder, "a b c") == found.text


def test_an_adapter_changes_the_answer_as_peft_does(folder: Path, tmp_path: Path) -> None:
    """The adapter folder is applied, exactly as peft's own model would."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    tuned = peft.get_peft_model(base(folder), config).eval()
    tuned.save_pretrained(tmp_path / "adapter")
    found = answer(folder, SamplingParams(max_tokens=12), adapter=str(tmp_path / "adapter"))
    plain = answer(folder, SamplingParams(max_tokens=12))
    assert isinstance(found, Completion)
    assert isinstance(plain, Completion)
    assert generated(tuned.get_base_model(), folder, "user a b c bot") == found.text
    assert plain.text != found.text


def test_the_context_ends_where_the_configuration_says(folder: Path) -> None:
    """64 positions: a longer prompt is void."""
    found = answer(folder, SamplingParams(max_tokens=12), Prompt(text="a " * 64))
    assert Void("key", "the prompt has 64 tokens, the model's context ends at 64", "engine") == found


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_a_prerequisite(folder: Path) -> None:
    """Asked for by name it is never replaced by another."""
    with pytest.raises(PrerequisiteError, match="the device cuda cannot be used"):
        answer(folder, SamplingParams(), device="cuda")


def test_a_folder_that_does_not_load_is_named(folder: Path, tmp_path: Path) -> None:
    """Whatever transformers makes of it."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(PrerequisiteError, match="model 'it' cannot be loaded from"):
        answer(tmp_path, SamplingParams())


def test_parameters_that_no_sampler_takes_are_refused(folder: Path) -> None:
    """Said by name, not by a stack trace from inside."""
    with pytest.raises(SpecError, match="sampling parameters that cannot be used"):
        answer(folder, SamplingParams(temperature=1.0, top_p=1.5, max_tokens=3))
    with pytest.raises(SpecError, match="sampling parameters that cannot be used"):
        answer(folder, SamplingParams(max_tokens=0))
