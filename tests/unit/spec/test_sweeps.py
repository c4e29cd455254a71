"""What a sweep becomes in the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.core.types import Json
from evalkit.spec.dump import dump
from evalkit.spec.load import load_spec
from evalkit.spec.model import BenchStep, DiagnoseStep, Spec

_HEAD = """\
evalkit: 1
name: swept
models: {m: smollm2-135m}
tasks:
  toy:
    data: [{file: toy.jsonl}]
    id: '{{ id }}'
    prompt: |
      Say {{ x }}
    score: {number: '{{ x }}'}
suites:
  s: {a: {task: toy}, b: {task: toy}}
"""


def spec_of(tmp_path: Path, text: str) -> Spec:
    path = tmp_path / "spec.yaml"
    path.write_text(text, "utf-8")
    loaded = load_spec(path)
    assert loaded.spec is not None, [found.message for found in loaded.diagnostics]
    again = tmp_path / "long.yaml"
    again.write_text(dump(loaded.long_form), "utf-8")
    assert load_spec(again).long_form == loaded.long_form
    return loaded.spec


def arms(spec: Spec, step: str) -> dict[str, tuple[Json, ...]]:
    """By the arm's label, the temperature, top_p and candidates of its default policy."""
    diagnosis = spec.steps[step]
    assert isinstance(diagnosis, DiagnoseStep)
    found = {}
    for label, name in diagnosis.reads.items():
        bench = spec.steps[name]
        assert isinstance(bench, BenchStep)
        policy = spec.policies[bench.policy["default"]]
        found[label] = (policy.temperature, policy.top_p, policy.answers)
    return found


@pytest.mark.parametrize(
    "steps",
    [
        "policies: {p: {samples: 2, sweep: {temperature: [0.2, 1e-1]}}}\nsteps: {w: {bench: s, policy: p}}\n",
        "policies: {p: {samples: 2, sweep: {temperature: [0.2, 1e-1]}}}\npolicy: p\nsteps: {w: {bench: s}}\n",
        "steps: {w: {bench: s, policy: {samples: 2, sweep: {temperature: [0.2, 1e-1]}}}}\n",
        "policy: {samples: 2, sweep: {temperature: [0.2, 1e-1]}}\nsteps: {w: {bench: s}}\n",
        "policies: {p: {samples: 2, sweep: {temperature: [0.2, 1e-1]}}}\n"
        "steps: {w: {bench: s, policy: {default: p, b: greedy}}}\n",
    ],
    ids=["named", "named for all", "in its place", "short", "of a category"],
)
def test_one_step_for_each_value(tmp_path: Path, steps: str) -> None:
    """However the sweep is written, the arms are the same, and the step's own name sets them side by side."""
    spec = spec_of(tmp_path, _HEAD + steps)
    assert list(spec.steps) == ["w-temperature_0_2", "w-temperature_0_1", "w"]
    assert arms(spec, "w") == {"0.2": (0.2, 1.0, 2), "0.1": (0.1, 1.0, 2)}


def test_every_combination_of_several_settings(tmp_path: Path) -> None:
    """Two by two values are four arms, named by both."""
    text = "steps: {w: {bench: s, policy: {temperature: 1, sweep: {top_p: [0.9, 1], samples: [1, 4]}}}}\n"
    assert arms(spec_of(tmp_path, _HEAD + text), "w") == {
        "top_p 0.9, samples 1": (1.0, 0.9, 1),
        "top_p 0.9, samples 4": (1.0, 0.9, 4),
        "top_p 1, samples 1": (1.0, 1.0, 1),
        "top_p 1, samples 4": (1.0, 1.0, 4),
    }


def test_other_steps_and_categories_stay_as_they_are(tmp_path: Path) -> None:
    """Only what names the sweep is spread."""
    text = (
        "policies: {p: {samples: 2, sweep: {temperature: [0.2, 0.5]}}}\n"
        "steps: {w: {bench: s, policy: {default: greedy, b: p}}, plain: {bench: s}}\n"
    )
    spec = spec_of(tmp_path, _HEAD + text)
    plain, arm = spec.steps["plain"], spec.steps["w-temperature_0_5"]
    assert isinstance(plain, BenchStep)
    assert isinstance(arm, BenchStep)
    assert plain.policy == {"default": "greedy"}
    assert arm.policy == {"default": "greedy", "b": "p.temperature-0.5"}


def test_a_spec_without_steps(tmp_path: Path) -> None:
    """The short form sweeps too."""
    text = _HEAD.replace("suites:\n  s:", "suite:")
    spec = spec_of(tmp_path, text + "policy: {samples: 2, sweep: {temperature: [0.2, 0.5]}}\n")
    assert list(spec.steps) == ["bench-temperature_0_2", "bench-temperature_0_5", "bench"]


def test_the_specs_policy_is_the_default_of_a_map(tmp_path: Path) -> None:
    """A step that names categories only has the swept policy of the spec for the rest, as it has any other."""
    text = (
        "policies: {p: {samples: 2, sweep: {temperature: [0.2, 0.5]}}}\npolicy: p\n"
        "steps: {w: {bench: s, policy: {b: greedy}}}\n"
    )
    spec = spec_of(tmp_path, _HEAD + text)
    arm = spec.steps["w-temperature_0_5"]
    assert isinstance(arm, BenchStep)
    assert arm.policy == {"b": "greedy", "default": "p.temperature-0.5"}


def test_values_are_told_apart_in_full(tmp_path: Path) -> None:
    """Seeds that differ in their last digit, and numbers that are the same however they are written."""
    text = "steps: {w: {bench: s, policy: {temperature: 1.0, samples: 2, sweep: {seed: [12345678, 12345679]}}}}\n"
    assert list(arms(spec_of(tmp_path, _HEAD + text), "w")) == ["12345678", "12345679"]
    text = "steps: {w: {bench: s, policy: {samples: 2, sweep: {temperature: [1.0, 0.25, 1e-6]}}}}\n"
    assert list(arms(spec_of(tmp_path, _HEAD + text), "w")) == ["1", "0.25", "1e-06"]
