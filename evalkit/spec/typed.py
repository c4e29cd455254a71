"""Long form → the typed spec. Every name was checked and every default is written out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evalkit.core.expectation import Condition
from evalkit.core.price import Price
from evalkit.core.routing import Escalation, Route, RouteRule
from evalkit.core.selection import Select
from evalkit.core.types import Json, Model
from evalkit.spec import engines, formats
from evalkit.spec.model import (
    BenchStep,
    Budget,
    DiagnoseStep,
    JudgeRule,
    JudgeStep,
    Policy,
    Report,
    Rubric,
    SampleRule,
    Spec,
    Step,
    Task,
    TaskUse,
    TrainingFile,
)

Resolve = Callable[[str], Path]
"""A relative path of the long form → where the file lies."""

_SOURCE = ("embedded", "hub", "revision", "path", "file", "fields", "name", "base_url", "key")
_PATHS = ("path", "file")


def spec(
    long: Json, tasks: dict[str, Task], names: dict[str, str], rubrics: dict[str, Rubric], resolve: Resolve, path: str
) -> Spec:
    """The typed spec. `names` maps each task reference of the long form to the task's name."""
    return Spec(
        name=long["name"],
        about=long["about"],
        models={name: _model(name, model, resolve) for name, model in long["models"].items() if "route" not in model},
        suites={name: _suite(suite, names) for name, suite in long["suites"].items() if _is_complete(suite)},
        policies={name: _policy(name, policy) for name, policy in long["policies"].items()},
        steps={name: _step(name, _direct(step, long["steps"]), resolve) for name, step in long["steps"].items()},
        tasks=tasks,
        sandbox=long["sandbox"],
        report=Report(long["report"]["template"], long["report"].get("to")),
        cost=long["cost"],
        seed=int(long["seed"]),
        void_budget=float(long["void_budget"]),
        path=path,
        rubrics=rubrics,
        judges={name: _judge(name, judge) for name, judge in long.get("judges", {}).items()},
        routes={name: _route(model["route"]) for name, model in long["models"].items() if "route" in model},
        prices={name: Price(**model["price"]) for name, model in long["models"].items() if "price" in model},
        budget=Budget(**long.get("budget", {})),
    )


def _route(route: Json) -> Route:
    if "rules" in route:
        whens = (
            (rule["model"], {name: tuple(values) for name, values in rule.get("when", {}).items()})
            for rule in route["rules"]
        )
        return Route(rules=tuple(RouteRule(model, when) for model, when in whens))
    [(by, given)] = route["when"].items()
    when = Escalation(by, float(given["below"]), given.get("name"))
    return Route(first=route["first"], then=route["then"], when=when, then_policy=route.get("then_policy"))


def _model(name: str, model: Json, resolve: Resolve) -> Model:
    source = {key: model[key] for key in _SOURCE if key in model}
    source |= {key: _resolved(source[key], resolve) for key in _PATHS if key in source}
    if "file" in source:
        source.setdefault("fields", {})
    engine, python = engines.split(model["engine"])
    return Model(
        name=name,
        engine=engine,
        source=source,
        adapter=str(resolve(model["adapter"])) if "adapter" in model else None,
        dtype=model.get("dtype", "auto"),
        device=model.get("device", "auto"),
        chat=model.get("chat"),
        options=model.get("options", {}),
        python=None if python is None else _interpreter(python, resolve),
    )


def _interpreter(python: str, resolve: Resolve) -> str:
    """The interpreter's place, itself not followed: in a virtual environment it is a link, and knows by its place
    which packages are its own."""
    return str(resolve(str(Path(python).parent)) / Path(python).name)


def _resolved(path: Json, resolve: Resolve) -> Json:
    return [str(resolve(one)) for one in path] if isinstance(path, list) else str(resolve(path))


def _is_complete(suite: Json) -> bool:
    """A suite whose splits only its steps name is used through a suite of theirs, and of no use itself."""
    return all("split" in use for use in suite.values())


def _suite(suite: Json, names: dict[str, str]) -> tuple[TaskUse, ...]:
    return tuple(
        TaskUse(
            category,
            names[use["task"]],
            use["split"],
            _sample(use.get("sample")),
            use.get("policy"),
            int(use["shots"]) if "shots" in use else None,
        )
        for category, use in suite.items()
    )


def _sample(sample: Json) -> SampleRule | None:
    return None if sample is None else SampleRule(int(sample["n"]), int(sample["seed"]), sample.get("by"))


def _policy(name: str, policy: Json) -> Policy:
    settings = {key: value for key, value in policy.items() if key not in ("stop", "select", "format", "meta")}
    schema = formats.text(policy["format"]) if "format" in policy else None
    select = Select(**policy["select"]) if "select" in policy else None
    return Policy(name=name, stop=tuple(policy["stop"]), select=select, json_schema=schema, **settings)


def _judge(name: str, judge: Json) -> JudgeRule:
    of_pairs = {key: judge[key] for key in ("swap", "retest", "style", "reference") if key in judge}
    questions = tuple(judge.get("ask", ()))
    return JudgeRule(name, judge["model"], questions, judge["policy"], judge.get("prompt"), **of_pairs)


_ROLES = ("of", "first", "then", "greedy", "again", "scores", "consistency")
_NO_OPTIONS = (*_ROLES, "arms", "data", "by", "diagnose", "about", "meta")


def _direct(step: Json, steps: Json) -> Json:
    """A step that names a `consistency` reads the answers that this one reads."""
    named = steps.get(step.get("consistency"), {})
    return step | {"consistency": named["of"]} if named.get("diagnose") == "consistency" else step


def _step(name: str, step: Json, resolve: Resolve) -> Step:
    expect = _conditions(step.get("expect", {}))
    if "compare" in step:
        before, after = step["compare"]
        return DiagnoseStep(name, "compare", {"before": before, "after": after}, expect=expect)
    if "diagnose" in step:
        reads = {role: step[role] for role in _ROLES if role in step} | step.get("arms", {})
        options = {key: step[key] for key in step if key not in _NO_OPTIONS}
        file = step.get("data")
        training = TrainingFile(file, str(resolve(file)), step["by"]) if file is not None else None
        return DiagnoseStep(name=name, diagnosis=step["diagnose"], reads=reads, options=options, training=training)
    if "judge" in step:
        player, opponent = step["of"]
        return JudgeStep(name, tuple(step["judge"]), player, opponent, expect)
    return BenchStep(
        name=name,
        suite=step["bench"],
        model=step["model"],
        policy=step["policy"],
        repeat=int(step.get("repeat", 0)),
        batch=int(step["batch"]) if "batch" in step else None,
        expect=expect,
    )


def _conditions(expect: Json) -> tuple[Condition, ...]:
    return tuple(
        Condition(category, claim, None if wanted is True else float(wanted))
        for category, claims in expect.items()
        for claim, wanted in claims.items()
    )
