"""Warnings about what is allowed and probably not meant. Each has a code that `# evalkit: ignore[W001]` silences.

W001  a hub revision that can move
W002  a number written as text
W003  several samples that will all be the same
W004  best-of-n of candidates that will mostly be the same
W005  a stop text that holds a backslash where a line break was meant
W006  a definition that nothing uses
W007  a sample too small to say much
W008  a void budget that hides failures
W009  a package of the sandbox that can move
W010  a time limit by a reference program that no task names
W011  groups that are made of a model's own results (`circular.py`)
W012  more files of recorded answers than answers are asked for
W013  a rubric that measures length and keywords only (`rubric_library.py`)
W014  a judge that is the model whose answers it judges (`judging.py`)
W015  a judge of pairs that is of the family of a contestant (`pairings.py`)
W016  a judge of pairs that is asked in one order only (`pairings.py`)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Set

from evalkit.core.types import Json
from evalkit.spec import circular, judging, pairings, scalars
from evalkit.spec.diagnostics import LINE_BREAK, Diagnostic, Diagnostics
from evalkit.spec.nodes import Node, Path, walk
from evalkit.spec.references import used_names
from evalkit.spec.routes import own_policies, part_names

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_IGNORE = re.compile(r"#\s*evalkit:\s*ignore\[([^\]]*)\]")
_BARE = re.compile(r"[^A-Za-z0-9._-]")
_ESCAPE = re.compile(r"\\[ntr]")
_Z_95 = 1.959963984540054
_SMALL_SAMPLE = 30
_DIVERSE_TEMPERATURE = 0.3
_LARGE_VOID_BUDGET = 0.1
_SECTIONS = ("models", "suites", "policies", "tasks", "judges", "rubrics")


def lint(written: Node, long: Node, diagnostics: Diagnostics) -> None:
    """Warn about a spec of right shape: `written` is the document as it was written, `long` its long form."""
    _movable_revisions(long, diagnostics)
    _numbers_as_text(written, diagnostics)
    _policies(long, diagnostics)
    _small_samples(long, diagnostics)
    _movable_packages(long, diagnostics)
    _unread_files(long, diagnostics)
    judging.lint(long, diagnostics)
    pairings.lint(long, diagnostics)
    budget = long.map["void_budget"]
    if budget.content > _LARGE_VOID_BUDGET:
        message = f"with {budget.content:.0%} of the answers missing a step still passes"
        diagnostics.warn("W008", budget.place, ("void_budget",), message)


def reference_times(long: Node, scorer_options: Iterable[Mapping[str, Json]], diagnostics: Diagnostics) -> None:
    """Warn about a rule on reference programs where none of the tasks in use, by their scorers' options, has one."""
    sandbox = long.map["sandbox"].map
    options = list(scorer_options)
    messages = {
        "reference_factor": "no task in use names a `reference` program: the declared limits hold",
        "reference_floor_s": "without `reference_factor` this limits nothing",
    }
    known = {
        "reference_factor": any("reference" in one for one in options),
        "reference_floor_s": "reference_factor" in sandbox or any("reference_factor" in one for one in options),
    }
    for name, message in messages.items():
        if name in sandbox and not known[name]:
            diagnostics.warn("W010", sandbox[name].place, ("sandbox", name), message, at_key=True)


def lint_task(root: Node, at: Path, diagnostics: Diagnostics) -> None:
    """Warn about a sound task document."""
    for path, node in walk(root.map["data"], (*at, "data")):
        if "hub" in node.map:
            _movable(node, path, "the data set", diagnostics)
    if "stop" in root.map:
        _stops(root.map["stop"], (*at, "stop"), diagnostics)
    circular.lint_task(root, at, diagnostics)


def silence(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """Leave out the warnings that a comment on their line asks to leave out."""
    rows = {name: LINE_BREAK.split(text) for name, text in sources.items()}
    return tuple(found for found in diagnostics if not _is_ignored(found, rows.get(found.file, [])))


def _is_ignored(found: Diagnostic, rows: list[str]) -> bool:
    if found.severity != "warning" or not 0 < found.line <= len(rows):
        return False
    comment = _IGNORE.search(rows[found.line - 1])
    return comment is not None and found.code in {code.strip() for code in comment[1].split(",")}


def _movable_revisions(long: Node, diagnostics: Diagnostics) -> None:
    for name, model in long.map["models"].map.items():
        if "hub" in model.map:
            _movable(model, ("models", name), "the model", diagnostics)


def _unread_files(long: Node, diagnostics: Diagnostics) -> None:
    """The k-th answer is that of the k-th file: files beyond the most answers that any step asks are never read."""
    most: dict[str, int] = {}
    for step in long.map["steps"].map.values():
        if "bench" in step.map:
            asked = step.text("model") or ""
            own = own_policies(long.map["models"].get(asked) or Node({}))
            for asker in part_names(long.map["models"], asked):
                answers = [_answers_of(own[asker], long)] if asker in own else _answers(step, long)
                most[asker] = max([most.get(asker, 0), *answers])
    for name, model in long.map["models"].map.items():
        files, read = model.get("file"), most.get(name, 0)
        if files is not None and 0 < read < len(files.items):
            asked, first = ("1 answer is", "file") if read == 1 else (f"{read} answers are", f"{read} files")
            message = f"{asked} asked for, so of {len(files.items)} files only the first {first} will be read"
            diagnostics.warn("W012", files.place, ("models", name, "file"), message)


def _answers(step: Node, long: Node) -> Iterator[int]:
    """How many answers a bench asks for, in each category."""
    suite, chosen = long.map["suites"].get(step.text("bench") or ""), step.map["policy"]
    for category in suite.map if suite is not None else ():
        yield _answers_of(chosen.text(category) or chosen.text("default") or "", long)


def _answers_of(name: str, long: Node) -> int:
    policy = long.map["policies"].get(name)
    return 0 if policy is None else int((policy.get("best_of") or policy.map["samples"]).content)


def _movable(node: Node, path: Path, what: str, diagnostics: Diagnostics) -> None:
    revision = node.get("revision")
    if revision is None or revision.place is None:
        message = f"{what} has no revision and can move; pin a commit"
        diagnostics.warn("W001", node.map["hub"].place, (*path, "hub"), message)
    elif not _COMMIT.fullmatch(str(revision.content)):
        message = f"revision '{revision.content}' can move; pin a commit"
        diagnostics.warn("W001", revision.place, (*path, "revision"), message)


def _movable_packages(long: Node, diagnostics: Diagnostics) -> None:
    packages = long.map["sandbox"].get("packages")
    for index, package in enumerate(packages.items if packages else ()):
        if "==" not in package.content or "*" in package.content:
            message = f"'{package.content}' can move; pin a version: `{_BARE.split(package.content)[0]}==...`"
            diagnostics.warn("W009", package.place, ("sandbox", "packages", index), message)


def _numbers_as_text(written: Node, diagnostics: Diagnostics) -> None:
    """Where the schema asks for a number, text is an error already; here is the rest."""
    for path, node in walk(written):
        if path[:1] != ("vars",) and "options" not in path:
            continue
        if isinstance(node.content, str) and scalars.looks_like_number(node.content):
            message = f'"{node.content}" is text; without quotes it is a number'
            diagnostics.warn("W002", node.place, path, message)


def _policies(long: Node, diagnostics: Diagnostics) -> None:
    for name, policy in long.map["policies"].map.items():
        path: Path = ("policies", name)
        temperature, samples = policy.map["temperature"].content, policy.map["samples"]
        if samples.content > 1 and temperature == 0:
            message = f"{samples.content} samples at temperature 0 are all the same; raise the temperature"
            diagnostics.warn("W003", samples.place, (*path, "samples"), message)
        best_of = policy.get("best_of")
        if best_of is not None and 0 < temperature < _DIVERSE_TEMPERATURE:
            message = f"best_of with temperature {temperature}: candidates are often identical"
            diagnostics.warn("W004", best_of.place, (*path, "best_of"), message)
        _stops(policy.map["stop"], (*path, "stop"), diagnostics)


def _stops(stops: Node, path: Path, diagnostics: Diagnostics) -> None:
    for index, stop in enumerate(stops.items):
        if isinstance(stop.content, str) and _ESCAPE.search(stop.content):
            message = f"'{stop.content}' is a backslash and a letter; double quotes make it one character"
            diagnostics.warn("W005", stop.place, (*path, index), message)


def unused(written: Node, long: Node, used_variables: Set[str], main: str, diagnostics: Diagnostics) -> None:
    """Warn about what nothing uses, of all that the main file itself defines: what it inherits may be for others."""
    used = used_names(long)
    for section in _SECTIONS:
        for name, node in (written.map[section].map if section in written.map else {}).items():
            if (section, name) not in used and node.place is not None and node.place.file == main:
                message = f"nothing uses the {_SINGULAR[section]} '{name}'"
                diagnostics.warn("W006", node.place, (section, name), message, at_key=True)
    for name, node in (written.map["vars"].map if "vars" in written.map else {}).items():
        if name not in used_variables and node.place is not None and node.place.file == main:
            diagnostics.warn("W006", node.place, ("vars", name), f"nothing uses the variable '{name}'", at_key=True)


_SINGULAR = {
    "models": "model",
    "suites": "suite",
    "policies": "policy",
    "tasks": "task",
    "judges": "judge",
    "rubrics": "rubric",
}


def _small_samples(long: Node, diagnostics: Diagnostics) -> None:
    for path, node in walk(long.map["suites"], ("suites",)):
        if path[-2:] == ("sample", "n") and node.content < _SMALL_SAMPLE:
            width = 100 * wilson_half_width(node.content)
            items = "1 item" if node.content == 1 else f"{node.content} items"
            message = f"{items} give a score ± {width:.0f} points at most (Wilson 95 %)"
            diagnostics.warn("W007", node.place, path, message)


def wilson_half_width(n: float) -> float:
    """Half the width of the 95 % Wilson interval around a score of one half, its widest: z / (2 √(n + z²))."""
    return _Z_95 / (2 * math.sqrt(n + _Z_95**2))
