"""Tokens a second: the transformers engine beside a bare `generate` loop, on the same requests.

    python benchmarks/engines.py --prompts 24 --samples 4 --rows 32 --max-tokens 128 --repeat 3
    python benchmarks/engines.py --vllm ~/envs/vllm/bin/python

Both run in this process on the same loaded model, one after the other in turn, so that a busy machine slows both. With
`--vllm PYTHON` the engine vllm takes its turns too, in its worker process and that interpreter; for a CPU,
tests/vllm/environment.py prints one. Its CPU time is read from its process, and starting it is not counted.
The bare loop is what a script does: prompts sorted by length, left padded, `--rows` answers a call, every call as long
as its longest answer. Tokens are those that belong to answers, end tokens included, not padding. The last column of a
line is tokens a CPU second: what other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.transformers import ADAPTER, TransformersEngine
from evalkit.run.workers import IsolatedEngine, Worker

Lane = Callable[[], tuple[int, float]]

TOPICS = (
    "Write a Python function that returns {}.",
    "Explain in one sentence what is meant by {}.",
    "What is {}? Answer with just the answer.",
)
THINGS = (
    "the sum of a list",
    "a prime number",
    "the largest of 3, 17 and 9",
    "a reversed string",
    "23 + 58",
    "recursion",
)


def requests(prompts: int, samples: int, sampling: SamplingParams) -> list[Request]:
    """`samples` requests for each of `prompts` questions of unequal length and answer."""
    found = []
    for number in range(prompts):
        text = TOPICS[number % len(TOPICS)].format(THINGS[number % len(THINGS)]) + " Be brief." * (number % 4)
        for index in range(samples):
            prompt = Prompt((Message("user", f"{number}. {text}"),))
            found.append(Request(f"{number}/{index}", "bench", str(number), prompt, sampling, index))
    return found


def started(python: str, rows: int, asked: list[Request]) -> IsolatedEngine:
    """The engine vllm, with its first answer behind it."""
    options = {"rows": rows, "enforce_eager": True}
    model = Model("smol", "vllm", {"embedded": "smollm2-135m"}, options=options, python=str(Path(python).absolute()))
    began = time.perf_counter()
    engine = IsolatedEngine(model, print)
    list(engine.generate(asked[:1]))
    print(f"vllm: first answer after {time.perf_counter() - began:.1f} s")
    return engine


def cpu_seconds(engine: IsolatedEngine) -> float:
    """What the worker's process has used, its threads included (Linux)."""
    assert isinstance(engine._worker, Worker)
    fields = Path(f"/proc/{engine._worker.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ours(engine: Engine, asked: list[Request]) -> tuple[int, float]:
    """Tokens and seconds of our engine."""
    started = time.perf_counter()
    answers = [answer for answer in engine.generate(asked) if isinstance(answer, Completion)]
    return sum(answer.completion_tokens or 0 for answer in answers), time.perf_counter() - started


def bare(engine: TransformersEngine, asked: list[Request], rows: int) -> tuple[int, float]:
    """Tokens and seconds of `model.generate` on the same requests."""
    import torch

    model, tokenizer, sampling = engine.sampler.model, engine.codec.tokenizer, asked[0].sampling
    tokenizer.padding_side = "left"
    started = time.perf_counter()
    texts = sorted((engine.codec.encode(request.prompt, True)[0] for request in asked), key=len)
    tokens = 0
    for place in range(0, len(texts), rows):
        batch = tokenizer(texts[place : place + rows], return_tensors="pt", padding=True, add_special_tokens=False)
        out = model.generate(**batch.to(model.device), **_arguments(sampling), pad_token_id=tokenizer.pad_token_id)
        answers = out[:, batch["input_ids"].shape[1] :]
        ends = (answers == tokenizer.eos_token_id).int()
        before_first_end = (ends.cumsum(1) - ends == 0).sum(1)
        tokens += int(torch.sum(before_first_end))
    return tokens, time.perf_counter() - started


def _arguments(sampling: SamplingParams) -> dict[str, Json]:
    drawn = {} if sampling.greedy else {"temperature": sampling.temperature, "top_k": 0}
    return {"max_new_tokens": sampling.max_tokens, "do_sample": not sampling.greedy, **drawn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vllm", metavar="PYTHON", help="an interpreter that has vLLM")
    for name, default in (("prompts", 24), ("samples", 4), ("rows", 32), ("max-tokens", 128), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--temperature", type=float, default=0.7)
    chosen = parser.parse_args()
    model = Model("smol", "transformers", {"embedded": "smollm2-135m"}, options={"rows": chosen.rows})
    engine = ADAPTER.open(model, print)
    sampling = SamplingParams(temperature=chosen.temperature, max_tokens=chosen.max_tokens)
    asked = requests(chosen.prompts, chosen.samples, sampling)
    lanes: dict[str, Lane] = {
        "evalkit": lambda: ours(engine, asked),
        "generate": lambda: bare(engine, asked, chosen.rows),
    }
    clocks = dict.fromkeys(lanes, time.process_time)
    if chosen.vllm:
        worker = started(chosen.vllm, chosen.rows, asked)
        lanes["vllm"] = lambda: ours(worker, asked)
        clocks["vllm"] = lambda: cpu_seconds(worker)
    speeds: dict[str, list[float]] = {name: [] for name in lanes}
    for turn in range(chosen.repeat):
        for name, lane in lanes.items():
            cpu = clocks[name]()
            tokens, seconds = lane()
            cpu = clocks[name]() - cpu
            speeds[name].append(tokens / seconds)
            print(
                f"{turn + 1}  {name:10} {tokens:6} tokens {seconds:7.1f} s {tokens / seconds:7.1f} tok/s"
                f"  load {os.getloadavg()[0]:.1f}  {tokens / cpu:.1f} tok/CPU-s"
            )
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"\n{len(asked)} answers, {chosen.rows} rows, median of {chosen.repeat}")
    for name, median in medians.items():
        print(f"{name:10} {median:7.1f} tok/s  {median / medians['generate']:5.2f}x")


if __name__ == "__main__":
    main()
