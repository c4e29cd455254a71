"""What a `format` costs: tokens a second of free answers and of answers under a JSON Schema.

    python benchmarks/formats.py --answers 32 --rows 16 --max-tokens 64 --repeat 3

Both kinds are asked of one loaded model in turn, and both fill `--max-tokens`: the schema wants more text than that,
and the free answers are long ones. Making a grammar is timed on its own, that of the task lift18_ir beside it. The last
column is tokens a CPU second: what other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

from msgspec.structs import replace

from evalkit.core.types import Completion, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.transformers import ADAPTER, TransformersEngine
from evalkit.taskview import find

LONG = {"type": "array", "minItems": 40, "items": {"type": "object", "properties": {"word": {"type": "string"}}}}


def requests(answers: int, sampling: SamplingParams) -> list[Request]:
    """One question of its own for each answer."""
    question = "Tell me a very long story about {} friends and what each of them said."
    prompts = [Prompt((Message("user", question.format(number)),)) for number in range(answers)]
    return [Request(str(number), "bench", str(number), prompt, sampling) for number, prompt in enumerate(prompts)]


def measured(engine: TransformersEngine, asked: list[Request]) -> tuple[int, float, float]:
    """Tokens, seconds and CPU seconds."""
    cpu, started = time.process_time(), time.perf_counter()
    answers = [answer for answer in engine.generate(asked) if isinstance(answer, Completion)]
    tokens = sum(answer.completion_tokens or 0 for answer in answers)
    return tokens, time.perf_counter() - started, time.process_time() - cpu


def tell_compile_times(engine: TransformersEngine, schemas: dict[str, str]) -> None:
    """Seconds to make each grammar; the first has the reading of the vocabulary in it."""
    assert engine.sampler.grammars is not None
    for name, schema in schemas.items():
        started = time.perf_counter()
        engine.sampler.grammars.of(schema)
        print(f"grammar of {name}: {time.perf_counter() - started:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("answers", 32), ("rows", 16), ("max-tokens", 64), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    engine = ADAPTER.open(
        Model("smol", "transformers", {"embedded": "smollm2-135m"}, options={"rows": chosen.rows}), print
    )
    specification = find("lift18_ir").formats[0]
    assert specification is not None
    long = json.dumps(LONG, separators=(",", ":"))
    tell_compile_times(engine, {"an array of objects": long, "lift18_ir": specification})
    free = SamplingParams(temperature=0.7, max_tokens=chosen.max_tokens)
    kinds = {"free": free, "format": replace(free, json_schema=long)}
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(chosen.repeat):
        for name, sampling in kinds.items():
            tokens, seconds, cpu = measured(engine, requests(chosen.answers, sampling))
            speeds[name].append(tokens / cpu)
            print(
                f"{turn + 1}  {name:7} {tokens:6} tokens {seconds:7.1f} s {tokens / seconds:7.1f} tok/s"
                f"  load {os.getloadavg()[0]:.1f}  {tokens / cpu:.1f} tok/CPU-s"
            )
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    print(f"\n{chosen.answers} answers, {chosen.rows} rows, median of {chosen.repeat}")
    for name, median in medians.items():
        print(f"{name:7} {median:7.1f} tok/CPU-s  {median / medians['free']:5.2f}x")


if __name__ == "__main__":
    main()
