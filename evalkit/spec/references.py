"""Names that steps use: each must be defined, and no step may need what only a later one makes."""

from __future__ import annotations

from evalkit.spec import diagnosis_keys, diagnosis_reads, expectations, judging, pairings, routes
from evalkit.spec.catalog import TaskLibrary
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.model import Task
from evalkit.spec.nodes import Node, Path, walk

_STEP_KEYS = ("of", "first", "then", "greedy", "again", "scores", "consistency")
_MODEL_KEYS = ("model",)
_READERS = {"diagnose": "diagnosed", "compare": "compared", "judge": "judged"}


class Use(Node, frozen=True):
    """A name where it is used, with its path."""

    path: Path = ()


def check(long: Node, tasks: TaskLibrary, diagnostics: Diagnostics) -> None:
    """Say which names of a long form mean nothing, and which steps wait for each other."""
    steps = long.map["steps"].map
    makers = {step.text("into"): name for name, step in steps.items() if step.text("into")}
    models = {*long.map["models"].map, *(model for model in makers if model)}
    for name, step in steps.items():
        at: Path = ("steps", name)
        _check_models(step, at, models, diagnostics)
        _check_suite(step, at, long, diagnostics)
        for use in _step_uses(step, at):
            if use.content not in steps:
                diagnostics.unknown(
                    use, use.path, f"unknown step '{use.content}'", [key for key in steps if key != name]
                )
            elif use.content != name and not diagnosis_reads.readable(step, use.path[-1], steps[use.content]):
                _refuse_reading(use, step, steps, diagnostics)
        _check_compared(step, at, diagnostics)
        expectations.check(step, at, long, diagnostics)
    _check_selects(long, diagnostics)
    judging.check(long, models, diagnostics)
    pairings.check(long, judging.named(long), diagnostics)
    routes.check(long, models, diagnostics)
    _check_data(steps, diagnostics)
    diagnosis_keys.check(steps, diagnostics)
    diagnosis_reads.check(long, diagnostics)
    tasks.check_unused()
    _check_splits(long, tasks, diagnostics)
    _check_cycles(steps, {model: maker for model, maker in makers.items() if model}, diagnostics)


def _refuse_reading(use: Use, step: Node, steps: dict[str, Node], diagnostics: Diagnostics) -> None:
    if step.text("diagnose") == "ties" and use.path[-1] == "of":
        judges = ", ".join(key for key, other in steps.items() if "judge" in other.map)
        message = f"'{use.content}' compares no pairs: ties are those of a `judge` step"
        diagnostics.error(use.place, use.path, message, hint=f"judge steps: {judges or 'none'}")
        return
    done = next((done for verb, done in _READERS.items() if verb in step.map), None)
    if done is not None:
        message = f"'{use.content}' asks nothing itself: only the answers of a `bench` can be {done}"
        benches = ", ".join(key for key, other in steps.items() if "bench" in other.map)
        diagnostics.error(use.place, use.path, message, hint=f"bench steps: {benches or 'none'}")


def _check_compared(step: Node, at: Path, diagnostics: Diagnostics) -> None:
    compared = step.get("compare")
    if compared is not None and compared.items[0].content == compared.items[1].content:
        second = compared.items[1]
        message = f"'{second.content}' is compared with itself: the difference is zero by construction"
        diagnostics.error(second.place, (*at, "compare", 1), message, hint="name another step")


def _check_splits(long: Node, tasks: TaskLibrary, diagnostics: Diagnostics) -> None:
    benched = {step.text("bench") for step in long.map["steps"].map.values()}
    for name, suite in long.map["suites"].map.items():
        for category, use in suite.map.items():
            task = tasks.used.get(tasks.called.get(use.map["task"].content, ""))
            if task is None:
                continue
            splits, split, path = task.task.splits, use.get("split"), ("suites", name, category)
            if split is not None and split.content not in splits:
                message = f"the task '{task.task.name}' has no split '{split.content}'"
                diagnostics.unknown(split, (*path, "split"), message, splits)
            elif split is None and name in benched:
                message = f"the task '{task.task.name}' has several splits and none is called 'test'"
                diagnostics.error(use.place, path, message, hint=f"add split: {' or '.join(splits)}")
            _check_shots(use, task.task, path, diagnostics)


def _check_shots(use: Node, task: Task, path: Path, diagnostics: Diagnostics) -> None:
    """Examples come from somewhere, and never from the split that is asked."""
    given, split = use.get("shots"), use.get("split")
    n = given.content if given is not None else task.shots.n if task.shots is not None else 0
    if n and given is not None and task.shots is None:
        message = f"the task '{task.name}' does not say where examples come from"
        diagnostics.error(given.place, (*path, "shots"), message, hint="add `shots:` to its file")
    elif n and split is not None and task.shots is not None and split.content == task.shots.split:
        node, key = (split, "split") if split.place is not None else (given or use.map["task"], "shots")
        message = f"the examples of the task '{task.name}' come from its split '{split.content}', which is asked"
        diagnostics.error(node.place, (*path, key), message, hint="ask another split, or set shots: 0")


def _check_models(step: Node, at: Path, models: set[str], diagnostics: Diagnostics) -> None:
    for use in _model_uses(step, at):
        if use.content not in models and use.content != "":
            diagnostics.unknown(use, use.path, f"unknown model '{use.content}'", models)


def _check_suite(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    suites = long.map["suites"].map
    key = "bench" if "bench" in step.map else "suite"
    reference = step.get(key)
    if reference is None:
        return
    if reference.content not in suites:
        diagnostics.unknown(reference, (*at, key), f"unknown suite '{reference.content}'", suites)
    elif "bench" in step.map:
        categories = {"default", *suites[reference.content].map}
        for category, node in step.map["policy"].map.items():
            if category not in categories:
                named = Node(category, node.place)
                message = f"the suite '{reference.content}' has no category '{category}'"
                diagnostics.unknown(named, (*at, "policy", category), message, categories, at_key=True)


def _check_selects(long: Node, diagnostics: Diagnostics) -> None:
    for name, policy in long.map["policies"].map.items():
        select = policy.get("select")
        if select is not None:
            path: Path = ("policies", name, "select")
            _check_named(select.get("judge"), (*path, "judge"), long.get("judges"), "judge", diagnostics)


def _check_named(node: Node | None, path: Path, known: Node | None, noun: str, diagnostics: Diagnostics) -> None:
    names = known.map if known is not None else {}
    if node is not None and node.content not in names:
        diagnostics.unknown(node, path, f"unknown {noun} '{node.content}'", names)


def _check_data(steps: dict[str, Node], diagnostics: Diagnostics) -> None:
    """What a `train` step learns from is a file or the name of a step that makes data; a diagnosis reads a file."""
    makers = [name for name, step in steps.items() if "distil" in step.map]
    for name, step in steps.items():
        data = step.get("data")
        if data is None or _is_file(data.content):
            continue
        if "train" in step.map and data.content not in makers:
            diagnostics.unknown(data, ("steps", name, "data"), f"no step makes the data '{data.content}'", makers)
        if "diagnose" in step.map and data.content not in makers:
            message = f"the training set '{data.content}' is no file: its name has no ending"
            diagnostics.error(data.place, ("steps", name, "data"), message, hint="for example data: train.jsonl")


def _is_file(text: str) -> bool:
    return "/" in text or "." in text


def _model_uses(step: Node, at: Path) -> list[Use]:
    found = [Use(step.map[key].content, step.map[key].place, (*at, key)) for key in _MODEL_KEYS if key in step.map]
    between = step.get("between")
    return found + [
        Use(node.content, node.place, (*at, "between", index))
        for index, node in enumerate(between.items if between else [])
    ]


def _step_uses(step: Node, at: Path) -> list[Use]:
    given = [(key, step.map[key]) for key in _STEP_KEYS if key in step.map]
    found = [Use(node.content, node.place, (*at, key)) for key, node in given if not node.is_list]
    sides = [(key, node) for key, node in given if node.is_list]
    found += [Use(one.content, one.place, (*at, key, n)) for key, node in sides for n, one in enumerate(node.items)]
    arms = step.get("arms")
    found += [Use(node.content, node.place, (*at, "arms", label)) for label, node in (arms.map.items() if arms else ())]
    compared = step.get("compare")
    return found + [
        Use(node.content, node.place, (*at, "compare", index))
        for index, node in enumerate(compared.items if compared else [])
    ]


def _needs(step: Node, name: str, steps: dict[str, Node], makers: dict[str, str]) -> list[str]:
    """The steps that this one must wait for."""
    at: Path = ("steps", name)
    uses = [use.content for use in _step_uses(step, at)]
    uses += [makers[use.content] for use in _model_uses(step, at) if use.content in makers]
    uses += [step.map["data"].content] if "data" in step.map else []
    when = step.text("when")
    uses += [when.split(".")[0].strip()] if when is not None else []
    return [use for use in uses if use in steps]


def _check_cycles(steps: dict[str, Node], makers: dict[str, str], diagnostics: Diagnostics) -> None:
    needs = {name: _needs(step, name, steps, makers) for name, step in steps.items()}
    told: set[frozenset[str]] = set()
    for name in steps:
        cycle = _cycle_from(name, needs)
        if cycle and frozenset(cycle) not in told:
            told.add(frozenset(cycle))
            message = "steps wait for each other" if len(cycle) > 1 else "the step waits for itself"
            hint = " → ".join([*cycle, cycle[0]])
            diagnostics.error(steps[name].place, ("steps", name), message, hint=hint, at_key=True)


def _cycle_from(start: str, needs: dict[str, list[str]]) -> list[str]:
    """A way from a step back to itself, or nothing."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for need in needs[way[-1]]:
            if need == start:
                return way
            if need not in seen:
                seen.add(need)
                ways.append([*way, need])
    return []


def used_names(long: Node) -> set[tuple[str, str]]:
    """Every (section, name) that a step or a suite uses: what is defined and not in here is unused."""
    used: set[tuple[str, str]] = set()
    for name, step in long.map["steps"].map.items():
        used |= {("models", use.content) for use in _model_uses(step, ("steps", name))}
        suites = [step.map[key].content for key in ("bench", "suite") if key in step.map]
        used |= {("suites", known) for suite in suites for known in (suite, suite.removesuffix(f".{name}"))}
        used |= {("judges", one.content) for one in (step.map["judge"].items if "judge" in step.map else ())}
        policy = step.get("policy")
        chosen = policy.map.values() if policy is not None and policy.is_map else [policy] if policy else []
        named = [node.content for node in chosen if isinstance(node.content, str)]
        used |= {("policies", name) for name in named}
        used |= {("policies", name.partition(".")[0]) for name in named}  # `warm.top_p-0.9` is of the sweep `warm`
    used |= {("models", judge.text("model") or "") for judge in _entries(long, "judges").values()}
    used |= {("policies", judge.text("policy") or "") for judge in _entries(long, "judges").values()}
    for model in long.map["models"].map.values():
        used |= {("models", node.content) for _, node in routes.parts(model)}
        used |= {("policies", name) for name in routes.own_policies(model).values()}
        read = routes.rubric(model)
        used |= {("rubrics", read.content)} if read is not None else set()
    used |= {("judges", name) for name in judging.named(long)}
    rubrics = [node.content for path, node in walk(long) if path[-1:] == ("rubric",)]
    used |= {("rubrics", name) for name in rubrics if isinstance(name, str)}
    named = [node.content for path, node in walk(long) if path[-1:] == ("task",) and path[:1] != ("tasks",)]
    used |= {("tasks", name) for name in named if isinstance(name, str)}  # a suite may call a category `task`
    return used


def _entries(long: Node, section: str) -> dict[str, Node]:
    node = long.get(section)
    return node.map if node is not None else {}
