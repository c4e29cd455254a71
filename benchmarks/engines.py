"""Tokens a second: the transformers engine beside a bare `generate` loop, on the same requests.

    python benchmarks/engines.py --prompts 24 --samples 4 --rows 32 --max-tokens 128 --repeat 3

Both run in this process on the same loaded model, one after the other in turn, so that a busy machine slows both.
The bare loop is what a script does: prompts sorted by length, left padded, `--rows` answers a call, every call as long
as its longest answer. Tokens are those that belong to answers, end tokens included, not padding. The last column of a
line is tokens a CPU second: what other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from evalkit.core.types import Completion, Json, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.transformers import ADAPTER, TransformersEngine

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


def ours(engine: TransformersEngine, asked: list[Request]) -> tuple[int, float]:
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
    for name, default in (("prompts", 24), ("samples", 4), ("rows", 32), ("max-tokens", 128), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--temperature", type=float, default=0.7)
    chosen = parser.parse_args()
    model = Model("smol", "transformers", {"embedded": "smollm2-135m"}, options={"rows": chosen.rows})
    engine = ADAPTER.open(model, print)
    sampling = SamplingParams(temperature=chosen.temperature, max_tokens=chosen.max_tokens)
    asked = requests(chosen.prompts, chosen.samples, sampling)
    speeds: dict[str, list[float]] = {"evalkit": [], "generate": []}
    for turn in range(chosen.repeat):
        for name in speeds:
            cpu = time.process_time()
            tokens, seconds = ours(engine, asked) if name == "evalkit" else bare(engine, asked, chosen.rows)
            cpu = time.process_time() - cpu
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
