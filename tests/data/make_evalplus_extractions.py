"""Writes evalplus_extractions.json: what EvalPlus's own sanitizer takes for the program, for texts of ours and for the
published answers in the data folder.

Run with an environment that has evalplus 0.3.1 (`pip install evalplus==0.3.1`), from the repository's root:

    python tests/data/make_evalplus_extractions.py ../shared/data

Of published answers only digests are kept: one for each file, over the programs of all its answers.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_TARGET = Path(__file__).with_name("evalplus_extractions.json")
_HUMANEVAL = ("evalplus_llama3_8b", "evalplus_llama3_8b_instruct", "evalplus_mistral_7b_instruct", "ldb_gpt35_0613")
_RUNS = ("01", "02", "03", "04", "05", "06")

Case = tuple[str, str | None]
"""An answer and the function that is asked for."""

# ruff: noqa: E501
# Texts in which a simpler rule goes wrong.
OWN: list[Case] = [
    ("", None),
    ("Sure!", "f"),
    ("Sure!\n\nI hope this helps.", "f"),
    ("```python\ndef f(x):\n    return x\n```\nDone.", "f"),
    ("def f(x):\n    return g(x)\n\ndef g(x):\n    return 1\n\ndef h(x):\n    return 2\n", "f"),
    ("def f(x):\n    return 1\n\ndef f(x):\n    return 2\n", "f"),
    ("def f(x):\n    print(x)\n\ndef g(x):\n    return f(x)\n", "g"),
    ("@cache\ndef f(x):\n    return 1\n\ndef g(x):\n    return f(x)\n", "g"),
    ("from __future__ import annotations\nimport math\nfrom os import path\n\ndef f(x):\n    return math.pi\n", "f"),
    ("A = B = 1\nC: int = 2\nD: int\n(E, F) = 1, 2\nG, H = A\nx.y = A\nz[0] = 3\n", None),
    ("A = 1\nB = A + 1\nU = 9\n\ndef f(x):\n    return B\n", "f"),
    ("def f(x):\n    return 1  # the end\n    # a comment of the body\n\n    # one more\n# not of the body\nA = 1\n", "f"),
    ("def f(x):\n    if x:\n        return 1\n        # inner\n    # outer\n  # odd\nimport os\n", None),
    ("def f(x): return 1  # same line\nA = 1  # of A\n", None),
    ("class A:\n    def m(self):\n        pass\n    # end\n\nclass A:\n    pass\n\ndef f(x):\n    return A()\n", "f"),
    ("async def f(x):\n    return 1\n\nif __name__ == '__main__':\n    print(f(1))\n", "f"),
    ("def f(x):\n    def inner():\n        return 1\n    inner()\n\nprint(f(1))\n", "f"),
    ("x = 1; y = 2\nimport a; import b\n", None),
    ("def f(x):\r\n    return x\r\n\r\nA = 1\r\n", "f"),
    ("text = '''\nnot code (\n'''\n\ndef f(x):\n    return text\n", "f"),
    ("Don't do this: x = (\n\ndef f(x):\n    return x\n\nwhich is fine", "f"),
    ("def f(x):\n    return x\n   broken\ndef g(x):\n    return x\n\ndef f(y):\n    return g(y)\n", "f"),
    ("\x1b[31mdef f(x):\x1b[0m\n    return x\n", "f"),
    ("def f(é):\n    ü = '日本'  # ß\n    return ü\nÄ = f(1)\n", "f"),
    ("def f(x):\n    global counter\n    return {'a': x.value, **kw}\ncounter = 0\nvalue = 1\nkw = {}\nother = 2\n", "f"),
    ("def f(x):\n    try:\n        return 1\n    except E as e:\n        return e\nE = ValueError\ne = 2\nq = 3\n", "f"),
    ("def f(x):\n    match x:\n        case P(k=v):\n            return v\n        case _:\n            return 0\nP = int\nk = 1\n", "f"),
    ("def f(x):\n    return f'{x} {y!r:>{w}}'\ny = 1\nw = 2\nz = 3\n", "f"),
    ("one line", None),
    ("x = 1", None),
    ("x = 1 \\\n\n\ny = 2", None),
    ("def f(x):\n\treturn x\n\t# tab\n# none\nA = 1\n", "f"),
    ("import os as o, sys\nfrom a.b import (c,\n    d)\n\ndef f(x):\n    return 1\n", "f"),
]  # fmt: skip


def published(data: Path) -> Iterator[tuple[str, list[Case]]]:
    """The answers of each golden file with the functions that they were asked for."""
    humaneval = {row["task_id"]: row["entry_point"] for row in _rows(data / "humaneval/HumanEval.jsonl.gz")}
    mbpp = {row["task_id"]: row["entry_point"] for row in _rows(data / "mbppplus/mbppplus_v0.1.jsonl.gz")}
    for run in _RUNS:
        rows = _rows(data / f"golden/mbpp_runs/run_{run}.jsonl.gz")
        yield f"mbpp_runs/run_{run}", [(row["response"], mbpp.get(f"Mbpp/{row['task_id']}")) for row in rows]
    for name in (*_HUMANEVAL, "wizardcoder_15b"):
        rows = _rows(data / f"golden/humaneval_samples/{name}.jsonl.gz")
        yield f"humaneval_samples/{name}", [(row["code"], humaneval[row["task_id"]]) for row in rows]
    for name in ("llama3_8b_instruct", "mistral_7b_instruct"):
        rows = _rows(data / f"golden/mbpp_solutions/{name}.jsonl.gz")
        yield f"mbpp_solutions/{name}", [(row["code"], mbpp.get(f"Mbpp/{row['task_id']}")) for row in rows]


def summary(cases: list[Case], sanitize: Callable[[str, str | None], str]) -> dict[str, str | int]:
    """How many answers there are, and the digest of their programs with and without the entry point."""
    reached = [sanitize(text, entry_point) for text, entry_point in cases]
    everything = [sanitize(text, None) for text, _ in cases]
    return {"answers": len(cases), "reached": _digest(reached), "everything": _digest(everything)}


def _digest(programs: list[str]) -> str:
    return hashlib.sha256(json.dumps(programs).encode()).hexdigest()


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def main(data: Path) -> None:
    from evalplus.sanitize import sanitize  # type: ignore[import-not-found]

    found = {
        "evalplus": "0.3.1",
        "own": [sanitize(text, entry_point) for text, entry_point in OWN],
        "published": {name: summary(cases, sanitize) for name, cases in published(data)},
    }
    _TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
