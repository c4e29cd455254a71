"""Answers a second: the engine `openai` beside a bare loop over the same client, at the same server.

    python benchmarks/servers.py --answers 400 --delay-ms 50
    python benchmarks/servers.py --answers 64 --llama GGUF --max-tokens 32

The server is a process of its own: one that answers after a fixed time, so that what is measured is the client's part,
or llama.cpp's (package xllamacpp) with a model file. The bare loop is what a script does: `AsyncOpenAI`, a semaphore,
answers as objects. They take turns, a trial of the server comes before the clock starts, and the last column is the
client's own processor time an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Message, Model, Prompt, Request, SamplingParams
from evalkit.engines.openai import ADAPTER

_TEXT = "one two three four five six seven eight nine ten"


def stub(told: Connection, delay_s: float) -> None:
    """A server that gives the same answer to everything, after a while, over connections that stay."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            asked = json.loads(await reader.readexactly(length))
            await asyncio.sleep(delay_s)
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _TEXT}}
            usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
            said = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
            body = json.dumps({**said, "usage": usage}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def llama(told: Connection, file: str, slots: int) -> None:
    """llama.cpp's server."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.model_alias = file, ["smol"]
    params.n_parallel, params.n_ctx, params.port, params.verbosity = slots, slots * 1024, 0, -1
    params.cpuparams.n_threads = 1
    running = xllamacpp.Server(params)
    told.send(int(running.listening_address.rpartition(":")[2]))
    time.sleep(24 * 3600)


def ours(engine: Engine, asked: Sequence[Request]) -> int:
    """Tokens of our engine."""
    answers = [answer for answer in engine.generate(asked) if isinstance(answer, Completion)]
    assert len(answers) == len(asked), "an answer is missing"
    return sum(answer.completion_tokens or 0 for answer in answers)


def bare(url: str, asked: Sequence[Request], concurrency: int) -> int:
    """Tokens of a plain loop."""
    import openai

    async def run() -> int:
        room = asyncio.Semaphore(concurrency)
        async with openai.AsyncOpenAI(api_key="none", base_url=url) as client:

            async def one(request: Request) -> int:
                async with room:
                    answer = await client.chat.completions.create(
                        model="smol",
                        messages=[{"role": "user", "content": request.prompt.messages[0].content}],
                        max_tokens=request.sampling.max_tokens,
                        temperature=0.0,
                    )
                    return answer.usage.completion_tokens if answer.usage else 0

            return sum(await asyncio.gather(*map(one, asked)))

    return asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    whole = (("answers", 400), ("concurrency", 32), ("max-tokens", 16), ("delay-ms", 50), ("repeat", 5))
    for name, default in whole:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--llama", metavar="GGUF", default="")
    chosen = parser.parse_args()
    here, there = multiprocessing.Pipe()
    work = (llama, (there, chosen.llama, 8)) if chosen.llama else (stub, (there, chosen.delay_ms / 1000))
    server = multiprocessing.get_context("spawn").Process(target=work[0], args=work[1], daemon=True)
    server.start()
    url = f"http://127.0.0.1:{here.recv()}/v1"
    options = {"concurrency": chosen.concurrency, "probe": bool(chosen.llama)}
    engine = ADAPTER.open(Model("m", "openai", {"name": "smol", "base_url": url}, options=options), lambda text: None)
    sampling = SamplingParams(max_tokens=chosen.max_tokens)
    prompts = [Prompt((Message("user", f"Count to {number + 1}."),)) for number in range(chosen.answers)]
    asked = [Request(str(number), "bench", str(number), prompt, sampling) for number, prompt in enumerate(prompts)]
    ours(engine, asked[:1]), bare(url, asked[:1], 1)
    rates: dict[str, list[float]] = {"evalkit": [], "bare loop": []}
    for turn in range(chosen.repeat):
        for name in rates:
            cpu, started = time.process_time(), time.perf_counter()
            tokens = ours(engine, asked) if name == "evalkit" else bare(url, asked, chosen.concurrency)
            cpu, seconds = time.process_time() - cpu, time.perf_counter() - started
            rates[name].append(len(asked) / seconds)
            print(
                f"{turn + 1}  {name:10} {tokens:6} tokens {seconds:6.2f} s {len(asked) / seconds:7.1f} answers/s"
                f"  load {os.getloadavg()[0]:.1f}  {1000 * cpu / len(asked):.2f} CPU-ms an answer"
            )
    print(f"\n{len(asked)} answers, {chosen.concurrency} at a time, median of {chosen.repeat}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:10} {median:7.1f} answers/s  {median / statistics.median(rates['bare loop']):5.2f}x")
    server.terminate()


if __name__ == "__main__":
    main()
