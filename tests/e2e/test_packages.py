"""A spec with packages of its own: built before or during the run, named in the lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

TASK = """\
evalkit: 1
task: means
about: One function over a list, made for this test.
source: this test
license: CC0-1.0
category: code
data: [{file: means.jsonl}]
id: '{{ id }}'
prompt: 'Write mean(x) with numpy.'
score: {code: {style: asserts, tests: tests, setup: setup, entry_point: name}}
"""
SPEC = """\
evalkit: 1
name: means
models:
  recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}
suites:
  code: [./means.yaml]
steps:
  bench: {bench: code, model: recorded, policy: greedy}
sandbox: {workers: 1, packages: [numpy==2.2.6]}
"""
TESTS = ["assert mean([1, 2, 3]) == 2", "assert np.allclose(mean(np.ones((2, 3))), 1)"]
ANSWERS = {
    "right": "import numpy as np\n\ndef mean(x):\n    return np.mean(x)",
    "wrong": "import numpy as np\n\ndef mean(x):\n    return np.sum(x)",
    "other": "import pandas as pd\n\ndef mean(x):\n    return pd.Series(x).mean()",
}


@pytest.mark.docker
@pytest.mark.network
def test_packages_of_the_spec(project: Any, need: Callable[[str], None]) -> None:
    """Programs import what the spec names and nothing else, and the lock says which wheels these were."""
    need("docker")
    rows = [{"id": name, "name": "mean", "setup": "import numpy as np", "tests": TESTS} for name in ANSWERS]
    answers = [{"id": name, "answer": f"```python\n{code}\n```"} for name, code in ANSWERS.items()]
    for name, some in (("means.jsonl", rows), ("answers.jsonl", answers)):
        project.write({name: "".join(json.dumps(one) + "\n" for one in some)})
    project.write({"means.yaml": TASK, "spec.yaml": SPEC})

    built = project.evalkit("sandbox", "build", "spec.yaml")
    assert built.code == 0, built.err
    assert "\npackages: numpy 2.2.6\n" in built.out
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "building the sandbox image" not in done.err
    assert {"right": None, "wrong": "wrong_answer", "other": "runtime_error"} == {
        row["id"]: row["class"] for row in project.rows()
    }
    parts = json.loads((project.run_folder() / "evalkit.lock").read_text())["sandbox_parts"]
    assert "2.2.6" == parts["packages"]["numpy"]["version"]
    assert len(parts["packages"]["numpy"]["sha256"]) == 64
