"""From a file to a Spec: extends, --set, variables, the long form, provenance, the digest."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from evalkit.core.errors import SpecError
from evalkit.core.types import Message, Model
from evalkit.spec import expand_policies
from evalkit.spec.diagnostics import render
from evalkit.spec.load import Loaded, LoadedTask, check, load_spec, load_task_file
from evalkit.spec.model import BenchStep, DataSource, Policy, Report, SampleRule, Spec, Task, TaskUse
from evalkit.spec.schemas import schema_document

SPECS = Path(__file__).parents[2] / "specs"
TOY = (SPECS / "valid/shared/toy.yaml").read_text("utf-8")

SHORT = """\
evalkit: 1
model: smollm2-135m
suite: [./toy.yaml]
sample: 50
"""

LONG = """\
evalkit: 1
models:
  base: smollm2-135m
suites:
  six: {math: ./toy.yaml}
policies:
  warm: {temperature: 0.7, samples: 4}
steps:
  one: {bench: six, policy: warm}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task file, as the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.yaml").write_text(TOY, "utf-8")
    return tmp_path


def _load(text: str, *sets: str, name: str = "x.yaml") -> Loaded:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, "utf-8")
    return load_spec(Path(name), sets)


def _spec(text: str, *sets: str) -> Spec:
    loaded = _load(text, *sets)
    assert loaded.spec is not None, render(loaded.diagnostics, loaded.sources)
    return loaded.spec


def _errors(loaded: Loaded) -> list[str]:
    return [found.message for found in loaded.diagnostics if found.severity == "error"]


def test_shortest_spec_means_this(project: Path) -> None:
    """Four lines, and everything that they leave to the defaults."""
    task = Task(
        name="toy",
        about="Two splits and a number.",
        source="",
        license="",
        category="math",
        data={"train": (DataSource(file="toy_train.jsonl"),), "test": (DataSource(file="toy_test.jsonl"),)},
        id="{{ id }}",
        scorer="number",
        scorer_options={"answer": "{{ answer }}"},
        messages=(Message("user", "How much is {{ question }}?\n"),),
        groups=("difficulty",),
        folder=project,
    )
    expected = Spec(
        name="x",
        about="",
        models={"smollm2-135m": Model("smollm2-135m", "transformers", {"embedded": "smollm2-135m"})},
        suites={"suite": (TaskUse("toy", "toy", "test", SampleRule(50)),)},
        policies={"greedy": Policy("greedy")},
        steps={"bench": BenchStep("bench", "suite", "smollm2-135m", {"default": "greedy"})},
        tasks={"toy": task},
        sandbox={"kind": "docker"},
        report=Report(),
        cost={},
        path="x.yaml",
    )
    assert expected == _spec(SHORT)


@pytest.mark.parametrize(
    ("written", "name", "source"),
    [
        ("smollm2-135m", "smollm2-135m", {"embedded": "smollm2-135m"}),
        ("org/Model-1.5", "Model-1.5", {"hub": "org/Model-1.5", "revision": "main"}),
        ("./weights/final", "final", {"path": "{here}/weights/final"}),
        ("runs/7/merged", "merged", {"path": "{here}/runs/7/merged"}),
        ("/models/one", "one", {"path": "/models/one"}),
        ("{hub: org/m, revision: abc1234}", "model", {"hub": "org/m", "revision": "abc1234"}),
    ],
)
def test_what_a_model_in_one_word_is(project: Path, written: str, name: str, source: dict[str, str]) -> None:
    """An embedded name, a hub id or a folder, told apart by their form and never by what is on the disk."""
    spec = _spec(SHORT.replace("smollm2-135m", written))
    expected = {key: value.replace("{here}", str(project.resolve())) for key, value in source.items()}
    assert {name: expected} == {key: model.source for key, model in spec.models.items()}
    assert name == spec.steps["bench"].model


def test_policy_in_long_form(project: Path) -> None:
    """Every parameter has its own type; a single stop becomes a list; the spec's seed is inherited."""
    spec = _spec(LONG.replace("samples: 4", "samples: 4, top_k: 5, stop: x, max_tokens: 9") + "seed: 3\n")
    expected = Policy("warm", temperature=0.7, top_k=5, max_tokens=9, stop=("x",), seed=3, samples=4)
    assert expected == spec.policies["warm"]
    assert type(spec.policies["warm"].min_p) is float


def test_policy_by_category(project: Path) -> None:
    """What the step says of a category wins over the suite, the suite over the step's default."""
    suite = "six: {math: {task: ./toy.yaml, policy: warm}, train: {task: ./toy.yaml, split: train, policy: warm}}"
    text = LONG.replace("six: {math: ./toy.yaml}", suite)
    spec = _spec(text.replace("policy: warm}\n", "policy: {train: greedy}}\n"))
    assert spec.steps["one"].policy == {"default": "greedy", "train": "greedy", "math": "warm"}


def test_split_and_sample_of_a_step(project: Path) -> None:
    """They make a suite of the step's own and leave the other alone."""
    spec = _spec(LONG + "  two: {bench: six, split: train, sample: {n: 30, seed: 9}}\n")
    assert spec.steps["two"].suite == "six.two"
    assert spec.suites == {
        "six": (TaskUse("math", "toy", "test"),),
        "six.two": (TaskUse("math", "toy", "train", SampleRule(30, 9)),),
    }


def test_split_that_only_the_step_names(project: Path) -> None:
    """A task without a `test` split is fine where every step says which split it wants."""
    Path("toy.yaml").write_text(TOY.replace("  test:", "  dev:"), "utf-8")
    spec = _spec(LONG.replace("bench: six", "bench: six, split: dev"))
    assert spec.suites == {"six.one": (TaskUse("math", "toy", "dev"),)}


def test_only_split_is_the_default(project: Path) -> None:
    """A task with one split needs no word about it."""
    Path("toy.yaml").write_text(TOY.replace("  test: [{file: toy_test.jsonl}]\n", ""), "utf-8")
    assert _spec(SHORT).suites["suite"][0].split == "train"


def test_extends_merges_and_deletes(project: Path) -> None:
    """Maps are merged, lists replaced, null deletes; name, about, steps and report are not inherited."""
    base = LONG + "name: base\nabout: the base\nreport: a.md\nsandbox: {workers: 2, wall_s: 5}\n"
    Path("base.yaml").write_text(base.replace("samples: 4", "samples: 4, stop: [a, b]"), "utf-8")
    child = """\
evalkit: 1
extends: base.yaml
sandbox: {workers: null, wall_s: 7, cpu_s: 1}
policies: {warm: {temperature: 0.9, stop: [c]}}
steps: {two: {bench: six, policy: warm}}
"""
    spec = _spec(child)
    assert (spec.name, spec.about, spec.report, list(spec.steps)) == ("x", "", Report(), ["two"])
    assert spec.sandbox == {"wall_s": 7, "cpu_s": 1, "kind": "docker"}
    assert spec.policies == {"warm": Policy("warm", temperature=0.9, stop=("c",), samples=4)}


def test_paths_are_relative_to_the_file_they_stand_in(project: Path) -> None:
    """Also where a spec in another folder inherits them."""
    Path("below").mkdir()
    Path("below/base.yaml").write_text(
        "evalkit: 1\nmodels: {m: {path: ./w, adapter: a}}\nsuites: {six: {math: ../toy.yaml}}\n", "utf-8"
    )
    loaded = _load("evalkit: 1\nextends: below/base.yaml\nsteps: {one: {bench: six, model: m}}\n")
    assert loaded.spec is not None
    assert loaded.spec.models["m"].source == {"path": str(project.resolve() / "below/w")}
    assert loaded.spec.models["m"].adapter == str(project.resolve() / "below/a")
    assert loaded.long_form["models"]["m"]["path"] == "./below/w"
    assert loaded.long_form["suites"]["six"]["math"]["task"] == "toy.yaml"


def test_inherited_definitions_may_stay_unused(project: Path) -> None:
    """A base that is shared holds more than one child needs."""
    Path("base.yaml").write_text(LONG, "utf-8")
    assert _load("evalkit: 1\nextends: base.yaml\nsteps: {one: {bench: six}}\n").diagnostics == ()


@pytest.mark.parametrize(
    ("sets", "path", "expected"),
    [
        (["sample=10"], "sample", 10),
        (["sample={n: 10, by: difficulty}"], "sample", {"n": 10, "by": "difficulty", "seed": 0}),
        (["sample=10", "sample=20"], "sample", 20),
        (["seed=7"], "seed", 7),
    ],
)
def test_set_overrides_a_value(project: Path, sets: list[str], path: str, expected: object) -> None:
    """Values are YAML, and the last one counts."""
    loaded = _load(SHORT, *sets)
    assert loaded.spec is not None
    use = loaded.long_form["suites"]["suite"]["toy"]
    actual = use["sample"] if path == "sample" else loaded.long_form[path]
    assert expected == (actual["n"] if isinstance(expected, int) and path == "sample" else actual)


def test_set_reaches_items_makes_maps_and_deletes(project: Path) -> None:
    """`[0]` is an item, a missing map is made, null removes."""
    sets = ["suite[0]={task: ./toy.yaml, split: train}", "sandbox.workers=3", "sample=null"]
    spec = _spec(SHORT, *sets)
    assert spec.suites["suite"] == (TaskUse("toy", "toy", "train"),)
    assert spec.sandbox == {"workers": 3, "kind": "docker"}


def test_variables_keep_their_type(project: Path) -> None:
    """A scalar that is only `${n}` is a number where n is one; within text it is spelt out; `$${` is itself."""
    text = (
        SHORT.replace("sample: 50", "sample: ${n}")
        + "vars: {n: 40, on: true}\nabout: keep ${n}\nname: run-${n}-${on}\n"
    )
    spec = _spec(text + "policy: {stop: ['$${n}']}\n")
    assert (spec.name, spec.about, spec.policies["policy"].stop) == ("run-40-true", "keep ${n}", ("${n}",))
    assert spec.suites["suite"][0].sample == SampleRule(40)


def test_variable_set_on_the_command_line(project: Path) -> None:
    """`--set vars.n=...` enters before the variables are filled in."""
    spec = _spec(SHORT.replace("sample: 50", "sample: ${n}") + "vars: {n: 40}\n", "vars.n=60")
    assert spec.suites["suite"][0].sample == SampleRule(60)


def test_why_names_the_place_of_every_value(project: Path) -> None:
    """File, line and column; the override; the base file; or default."""
    Path("base.yaml").write_text(LONG, "utf-8")
    child = "evalkit: 1\nextends: base.yaml\npolicies: {warm: {top_p: 0.9}}\nsteps: {one: {bench: six, policy: warm}}\n"
    loaded = _load(child, "policies.warm.seed=5")
    assert loaded.spec is not None
    assert {path: loaded.why(path) for path in list(_WHY)} == {
        "policies.warm.temperature": "base.yaml:7:23",
        "policies.warm.top_p": "x.yaml:3:26",
        "policies.warm.seed": "<--set #1>:1:20",
        "policies.warm.top_k": "default",
        "models.base.embedded": "base.yaml:3:9",
        "models.base.engine": "default",
        "steps.one.policy.default": "x.yaml:4:35",
        "suites.six.math.split": "default",
    }


_WHY = (
    "policies.warm.temperature",
    "policies.warm.top_p",
    "policies.warm.seed",
    "policies.warm.top_k",
    "models.base.embedded",
    "models.base.engine",
    "steps.one.policy.default",
    "suites.six.math.split",
)


def test_why_of_nothing_suggests(project: Path) -> None:
    """A path that is not in the long form is an error with the nearest one that is."""
    with pytest.raises(SpecError, match=r"the long form has no 'policies\.grady'") as caught:
        _load(SHORT).why("policies.grady")
    assert caught.value.hint == "did you mean 'policies.greedy'?"


@pytest.mark.parametrize("name", ["shortest", "steps", "extends", "inline_task", "recorded", "hub_model", "escapes"])
def test_long_form_means_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written out and read again, the long form is its own long form, with the same digest."""
    shutil.copytree(SPECS / "valid", tmp_path / "valid")
    monkeypatch.chdir(tmp_path / "valid")
    first = load_spec(Path(f"{name}.yaml"))
    Path("again.yaml").write_text(json.dumps(first.long_form), "utf-8")
    second = load_spec(Path("again.yaml"))
    assert first.long_form == second.long_form
    assert first.digest == second.digest
    assert first.digest


def test_digest_knows_no_folder_and_no_form(project: Path) -> None:
    """The same project elsewhere, with other comments and spellings, has the same digest; another value another one."""
    here = _load(LONG)
    Path("elsewhere").mkdir()
    shutil.copy("toy.yaml", "elsewhere/toy.yaml")
    text = "# moved\n" + LONG.replace("temperature: 0.7", "temperature: 7e-1")
    assert here.digest == _load(text, name="elsewhere/x.yaml").digest
    assert here.digest != _load(LONG.replace("0.7", "0.8")).digest
    Path("toy.yaml").write_text(TOY.replace("How much", "How many"), "utf-8")
    assert here.digest != _load(LONG).digest


def test_files_and_sources_list_all_that_was_read(project: Path) -> None:
    """The spec first, then what it names."""
    loaded = _load(SHORT, "seed=1")
    assert loaded.files == (project / "x.yaml", project / "toy.yaml")
    assert list(loaded.sources) == ["x.yaml", "<--set #1>", "toy.yaml"]


def test_missing_file_suggests_another(project: Path) -> None:
    """A file that is not there is a diagnostic like all others."""
    Path("quick.yaml").write_text(SHORT, "utf-8")
    loaded = load_spec(Path("quik.yaml"))
    assert loaded.spec is None
    assert render(loaded.diagnostics, loaded.sources) == (
        "quik.yaml: error: there is no such file\n  = did you mean 'quick.yaml'?\n\n1 error in quik.yaml\n"
    )


def test_folder_is_not_a_spec(project: Path) -> None:
    """Neither is a folder a file."""
    assert _errors(load_spec(Path("."))) == ["this is a folder, not a file"]


def test_task_file_is_told_from_a_spec(project: Path) -> None:
    """`check` takes both; a run of a task file is refused with a word about specs."""
    assert isinstance(check(Path("toy.yaml")), LoadedTask)
    assert load_task_file(Path("toy.yaml")).task is not None
    loaded = load_spec(Path("toy.yaml"))
    assert [(found.message, found.hint) for found in loaded.diagnostics] == [
        ("this is a task file, not a spec", "name it in a spec's `suite:`")
    ]


def test_order_comes_from_names(project: Path) -> None:
    """A step may stand before the one that makes what it uses; only the verbs are not there yet."""
    text = (
        LONG
        + "  after: {bench: six, model: tuned}\n  adapter: {train: lora, model: base, data: d.jsonl, into: tuned}\n"
    )
    assert _errors(_load(text)) == ["a `train` step is not yet available in evalkit 0.1"]


def test_policy_written_where_it_is_used(project: Path) -> None:
    """A step's and a category's own policy are defined under names that say where they stand."""
    suite = "six: {math: ./toy.yaml, train: {task: ./toy.yaml, split: train, policy: {temperature: 0.9}}}"
    text = LONG.replace("six: {math: ./toy.yaml}", suite)
    spec = _spec(text + "  two: {bench: six, policy: {temperature: 0.7, samples: 3}}\n")
    assert spec.steps["two"].policy == {"default": "policy.two", "train": "policy.six.train"}
    assert spec.policies["policy.two"] == Policy("policy.two", temperature=0.7, samples=3)
    assert spec.policies["policy.six.train"] == Policy("policy.six.train", temperature=0.9)


@pytest.mark.parametrize("key", sorted(expand_policies._SAMPLING))
def test_schema_and_long_form_agree_on_what_a_policy_is(key: str) -> None:
    """A map with any sampling parameter is taken for a policy by both."""
    policy = schema_document("spec")["$defs"]["step_policy"]["allOf"][1]["then"]
    pattern = policy["if"]["propertyNames"]["pattern"]
    assert re.search(pattern, key) is None
    assert re.search(pattern, f"{key}s") is not None
    assert pattern.count("|") + 1 == len(expand_policies._SAMPLING)


def test_policy_written_in_a_suite_of_the_short_form(project: Path) -> None:
    """It is no policy of a step that has the category's name."""
    spec = _spec("evalkit: 1\nmodel: smollm2-135m\nsuite: {math: {task: ./toy.yaml, policy: {samples: 2, top_k: 3}}}\n")
    assert spec.steps["bench"].policy == {"default": "greedy", "math": "policy.suite.math"}
    assert spec.policies["policy.suite.math"] == Policy("policy.suite.math", samples=2, top_k=3)


def test_name_of_a_file_is_cut_to_the_length_of_a_name(project: Path) -> None:
    """What a file is called is no mistake in it."""
    loaded = _load(SHORT, name="n" * 80 + ".yaml")
    assert loaded.spec is not None
    assert loaded.spec.name == "n" * 64
