"""Short form → long form: every default and every derived definition written out, each still knowing its place.

The long form is a spec itself: reading it again gives the same long form.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from evalkit.core.types import Json
from evalkit.spec import engines, expand_diagnoses, expand_judges, expand_sweeps, servers
from evalkit.spec.catalog import TaskLibrary
from evalkit.spec.diagnosis_keys import TRAINING
from evalkit.spec.diagnostics import did_you_mean
from evalkit.spec.expand_policies import BUILT_IN, Policies
from evalkit.spec.expand_routes import long_route
from evalkit.spec.nodes import Node, Place, default, derived
from evalkit.spec.nodes import Path as NodePath
from evalkit.spec.reading import Reading

EMBEDDED = ("smollm2-135m",)
SHORT_STEP = "bench"
_SHORT_SUITE = "suite"
_SOURCES = ("embedded", "hub", "path", "file")
_MODEL_DEFAULTS = {"dtype": "auto", "device": "auto"}
_LONGEST_NAME = 64


def model_source(text: str) -> dict[str, Json]:
    """What a text means where a model is wanted: a folder, a hub id, or the name of an embedded model.

    The text alone decides, never what lies on the disk.
    """
    if text.startswith(("./", "../", "/", "~")) or text.count("/") > 1:
        return {"path": text}
    return {"hub": text} if "/" in text else {"embedded": text}


def expand(root: Node, main: str, tasks: TaskLibrary, reading: Reading) -> Node:
    """The long form of a document whose shape is right. What is wrong with its meaning goes to the diagnostics."""
    for kind in (expand_sweeps, expand_diagnoses, expand_judges):
        root = kind.spread(root, reading.diagnostics)
    return _Expander(root, main, tasks, reading).expand()


class _Expander:
    def __init__(self, root: Node, main: str, tasks: TaskLibrary, reading: Reading) -> None:
        self._root = root
        self._main = main
        self._tasks = tasks
        self._reading = reading
        self._diagnostics = reading.diagnostics
        self._seed = root.get("seed") or default(0)
        self._policies = Policies(root, self._seed, self._diagnostics)
        self._models: dict[str, Node] = {}
        self._suites: dict[str, Node] = {}
        self._model: Node | None = None

    def expand(self) -> Node:
        root = self._root
        self._define_models()
        self._define_suites()
        steps = self._steps()
        judges = self._judges()
        stem = Path(self._main).name.partition(".")[0]
        parts = {
            "evalkit": root.map["evalkit"],
            "name": root.get("name") or default(_as_name(stem[:_LONGEST_NAME])),
            "about": root.get("about") or default(""),
            "seed": self._seed,
            "void_budget": root.get("void_budget") or default(0.02),
            "models": Node(self._models, _place(root, "models")),
            "suites": Node(self._suites, _place(root, "suites")),
            "policies": self._with_rubrics(self._policies.node()),
            "steps": Node(steps, _place(root, "steps")),
            "sandbox": _with_defaults(root.get("sandbox"), {"kind": "docker"}),
            "report": self._report(),
            "cost": root.get("cost") or default({}),
        }
        rubrics = self._tasks.rubrics.node()
        if rubrics is not None:
            parts["rubrics"] = rubrics
        kept = {key: root.map[key] for key in ("meta", "tasks", "budget") if key in root.map}
        return Node({**parts, **judges, **kept}, root.place)

    def _judges(self) -> dict[str, Node]:
        """The section, each judge with its policy, which is made where it is the built-in one."""
        judges = self._root.get("judges")
        if judges is None:
            return {}
        found = {name: _with_defaults(judge, {"policy": BUILT_IN}) for name, judge in judges.map.items()}
        found |= {
            name: expand_judges.with_defaults(found[name]) for name in expand_judges.compares(self._root) & set(found)
        }
        for name, judge in found.items():
            self._policies.check_known(judge.map["policy"], ("judges", name, "policy"))
        return {"judges": Node(found, judges.place)}

    def _define_models(self) -> None:
        models = self._root.get("models")
        for name, node in (models.map if models else {}).items():
            self._models[name] = self._long_model(node, ("models", name))
        short = self._root.get("model")
        if short is None:
            return
        if not short.is_map and short.content in self._models:
            self._model = short
            return
        name = "model" if short.is_map else _as_name(Path(short.content).name)
        self._check_free(name, self._models, short, "model")
        self._models[name] = self._long_model(short, ("model",))
        self._model = derived(name, short.place)

    def _check_free(self, name: str, taken: dict[str, Node], node: Node, key: str) -> None:
        """The name that a short form gets must not be one that the spec itself gives."""
        if name in taken:
            message = f"`{key}` defines '{name}', and so does `{key}s`"
            self._diagnostics.error(node.place, (key,), message, hint="rename the other one", at_key=True)

    def _long_model(self, node: Node, path: NodePath) -> Node:
        if not node.is_map:
            node = self._model_of_text(node, path)
        if "route" in node.map:
            return long_route(node, path, self._policies, self._diagnostics)
        given = [source for source in _SOURCES if source in node.map]
        kind = engines.kind_of(node)
        engine = None if kind is None else kind.content
        engines.check(node, path, self._diagnostics)
        if engine in (None, "transformers", "replay", "vllm"):
            self._check_sources(node, given, path)
        if engine == "transformers" and "file" in node.map:
            message = "`engine: transformers` reads no recorded answers"
            self._diagnostics.error(node.map["file"].place, (*path, "file"), message, hint="write engine: replay")
        entries = {"engine": node.get("engine") or engines.default_engine(given)}
        entries |= {key: self._moved(key, child) for key, child in node.map.items()}
        entries["engine"] = engines.long_engine(entries["engine"], self._moved_path)
        if "hub" in entries:
            entries.setdefault("revision", default("main"))
        elsewhere = "file" in entries or engine == "openai"
        return _with_defaults(Node(entries, node.place), {} if elsewhere else _MODEL_DEFAULTS)

    def _check_sources(self, node: Node, given: list[str], path: NodePath) -> None:
        if not given and not any(key in node.map for key in servers.KEYS):
            message = "a model needs one of `embedded`, `hub`, `path`, `file`"
            self._diagnostics.error(node.place, path, message, hint="say where the weights are", at_key=True)
        for key in given[1:]:
            message = f"both `{given[0]}` and `{key}` say where the model comes from"
            self._diagnostics.error(node.map[key].place, (*path, key), message, hint="keep one of them", at_key=True)

    def _model_of_text(self, node: Node, path: NodePath) -> Node:
        text: str = node.content
        source = model_source(text)
        if "embedded" in source and text not in EMBEDDED:
            names = [*EMBEDDED, *(self._root.map["models"].map if "models" in self._root.map else {})]
            hint = did_you_mean(text, names) or "a hub id is org/name, a folder begins with ./"
            self._diagnostics.error(node.place, path, f"unknown model '{text}'", hint=hint)
        return derived(source, node.place)

    def _moved(self, key: str, node: Node) -> Node:
        """A relative path as seen from the main file's folder, wherever it was written."""
        if key not in ("path", "file", "adapter"):
            return node
        if node.is_list:
            return Node([self._moved(key, item) for item in node.items], node.place)
        return self._moved_path(node)

    def _moved_path(self, node: Node) -> Node:
        return Node(self._seen_from_main(node.content, node.place), node.place)

    def _seen_from_main(self, text: str, place: Place | None) -> str:
        if place is None or place.file == self._main or text.startswith("~") or Path(text).is_absolute():
            return text
        here = self._reading.folder(place, self._main)
        moved = Path(os.path.relpath(here / text, self._reading.paths[self._main].parent)).as_posix()
        return moved if moved.startswith("../") or not text.startswith("./") else f"./{moved}"

    def _define_suites(self) -> None:
        suites = self._root.get("suites")
        for name, node in (suites.map if suites else {}).items():
            self._suites[name] = self._long_suite(node, ("suites", name))
        short = self._root.get("suite")
        if short is not None and (short.is_map or short.is_list):
            self._check_free(_SHORT_SUITE, self._suites, short, "suite")
            self._suites[_SHORT_SUITE] = self._long_suite(short, ("suite",))
        elif short is not None and short.content not in self._suites and short.content in self._tasks.names():
            self._suites[short.content] = self._long_suite(Node([short], short.place), ("suite",))

    def _long_suite(self, node: Node, path: NodePath) -> Node:
        if node.is_map:
            uses = {name: self._long_use(use, (*path, name)) for name, use in node.map.items()}
            return Node(uses, node.place)
        categories: dict[str, Node] = {}
        for index, use in enumerate(node.items):
            long = self._long_use(use, (*path, index))
            name = use.text("category") or self._category(long)
            if name in categories:
                message = f"two tasks of this suite are called '{name}'"
                self._diagnostics.error(use.place, (*path, index), message, hint="give one of them a `category:`")
            categories[name] = long
        return Node(categories, node.place)

    def _category(self, use: Node) -> str:
        """In a list each task is a category of its own, called like the task."""
        text = use.text("task") or ""
        return Path(text).stem if "/" in text or text.endswith((".yaml", ".yml")) else text

    def _long_use(self, node: Node, path: NodePath) -> Node:
        given = node.map if node.is_map else {"task": node}
        reference = given["task"]
        task = self._tasks.get(reference, (*path, "task") if node.is_map else path)
        entries = {"task": self._moved_task(reference)}
        if task is not None:
            self._tasks.called[entries["task"].content] = task.name
        if "split" in given:
            entries["split"] = given["split"]
        elif task is not None and ("test" in task.data or len(task.data) == 1):
            entries["split"] = default("test" if "test" in task.data else next(iter(task.data)))
        sample = given.get("sample") or self._root.get("sample")
        if sample is not None:
            entries["sample"] = self._long_sample(sample)
        if "policy" in given:
            entries["policy"] = self._policies.named(given["policy"], (*path, "policy"))
        if "shots" in given:
            entries["shots"] = given["shots"]
        return Node(entries, node.place)

    def _moved_task(self, reference: Node) -> Node:
        text: str = reference.content
        is_path = "/" in text or text.endswith((".yaml", ".yml"))
        return Node(self._seen_from_main(text, reference.place), reference.place) if is_path else reference

    def _long_sample(self, node: Node) -> Node:
        entries = node.map if node.is_map else {"n": derived(node.content, node.place)}
        return Node({**entries, "seed": entries.get("seed") or self._seed}, node.place)

    def _steps(self) -> dict[str, Node]:
        steps = self._root.get("steps")
        if steps is not None:
            return {name: self._long_step(name, node) for name, node in steps.map.items()}
        suite = self._root.get("suite")
        if suite is None:
            message = "nothing to do: there are no `steps:` and no `suite:`"
            self._diagnostics.error(self._root.place, (), message, hint="for example suite: [arithmetic]", at_key=True)
            return {}
        name = suite.content if isinstance(suite.content, str) else _SHORT_SUITE
        step = Node({"bench": derived(name, suite.place)}, suite.place)
        return {SHORT_STEP: self._long_step(SHORT_STEP, step)}

    def _long_step(self, name: str, node: Node) -> Node:
        if "bench" not in node.map:
            return self._long_training(node) if node.text("diagnose") in TRAINING else node
        entries = dict(node.map)
        if "model" not in entries:
            entries["model"] = self._model_for(name, node)
        entries["bench"] = self._narrowed(name, node)
        suite = self._suites.get(entries["bench"].content)
        entries["policy"] = self._policies.of_step(node.get("policy"), suite, ("steps", name, "policy"))
        return Node({key: entries[key] for key in entries if key not in ("split", "sample")}, node.place)

    def _long_training(self, node: Node) -> Node:
        """A diagnosis of a training set: where the file lies, and by which field its rows are told apart."""
        data = node.get("data")
        moved = {"data": Node(self._seen_from_main(data.content, data.place), data.place)} if data is not None else {}
        return Node({**node.map, **moved, "by": node.get("by") or default("category")}, node.place)

    def _model_for(self, step: str, node: Node) -> Node:
        if self._model is not None:
            return self._model
        if len(self._models) == 1:
            return default(next(iter(self._models)))
        path: NodePath = ("steps", step) if "steps" in self._root.map else ()
        place = node.place if path else self._root.place
        self._diagnostics.error(place, path, "missing key 'model'", hint="which model is asked?", at_key=True)
        return default("")

    def _narrowed(self, step: str, node: Node) -> Node:
        """The suite; where the step has a `split` or `sample` of its own, a suite of its own with them."""
        reference = node.map["bench"]
        suite = self._suites.get(reference.content)
        own = {key: node.map[key] for key in ("split", "sample") if key in node.map}
        if suite is None or not own:
            return reference
        if "sample" in own:
            own["sample"] = self._long_sample(own["sample"])
        name = f"{reference.content}.{step}"
        uses = {category: Node({**use.map, **own}, use.place) for category, use in suite.map.items()}
        self._suites[name] = Node(uses, node.place)
        return derived(name, reference.place)

    def _with_rubrics(self, policies: Node) -> Node:
        """The policies with each rubric by its name, also where it was named by its path."""
        entries = dict(policies.map)
        for name, policy in entries.items():
            select = policy.get("select")
            reference = select.get("rubric") if select is not None else None
            if select is None or reference is None:
                continue
            found = self._tasks.rubrics.get(reference, ("policies", name, "select", "rubric"))
            if found is not None:
                named = Node({**select.map, "rubric": derived(found.rubric.name, reference.place)}, select.place)
                entries[name] = Node({**policy.map, "select": named}, policy.place)
        return Node(entries, policies.place)

    def _report(self) -> Node:
        node = self._root.get("report")
        if node is not None and not node.is_map:
            node = derived({"to": derived(node.content, node.place)}, node.place)
        return _with_defaults(node, {"template": "run"})


def _place(root: Node, key: str) -> Place | None:
    node = root.get(key)
    return node.place if node is not None else None


def _with_defaults(node: Node | None, defaults: dict[str, Json]) -> Node:
    given = node.map if node is not None else {}
    missing = {key: default(value) for key, value in defaults.items() if key not in given}
    return Node({**given, **missing}, node.place if node is not None else None)


def _as_name(text: str) -> str:
    """A name made of a file's name or the last part of a hub id."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "unnamed"
