"""A task document whose shape is right → a Task, after what a schema cannot say was checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from evalkit.core import registry
from evalkit.core.errors import EvalkitError, PrerequisiteError
from evalkit.core.types import Json, Message
from evalkit.spec import formats
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.model import DataSource, Join, RowRange, Shots, Task
from evalkit.spec.nodes import Node, Place, Span
from evalkit.spec.nodes import Path as NodePath

_FORMS = ("prompt", "messages", "text", "turns")
_DEFAULT_SPLIT = "test"
_DEFAULT_MAX_TOKENS = 512
_FIELD = re.compile(r"\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}")
_JINJA_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "none"})
LATER = "not yet available in evalkit 0.1"


def build(root: Node, name: str, folder: Path, at: NodePath, diagnostics: Diagnostics) -> Task | None:
    """The task, or None with diagnostics. `at` is where its map stands in the document, `folder` the file's folder."""
    before = len(diagnostics.all())
    _check_form(root, at, diagnostics)
    _check_sources(root, at, diagnostics)
    _check_shots(root, at, diagnostics)
    _check_size(root, at, diagnostics)
    _check_templates(root, at, diagnostics)
    scorer, options = _scorer(root, at, diagnostics)
    if any(found.severity == "error" for found in diagnostics.all()[before:]):
        return None
    plain = root.plain()
    return Task(
        name=name,
        about=plain.get("about", ""),
        source=plain.get("source", ""),
        license=plain.get("license", ""),
        category=plain.get("category", name),
        data=_data(plain["data"]),
        id=plain["id"],
        scorer=scorer,
        scorer_options=options,
        messages=_messages(plain),
        text=plain.get("text"),
        fields=plain.get("fields", {}),
        groups=tuple(plain.get("groups", ())),
        strata=plain.get("strata"),
        max_tokens=int(plain.get("max_tokens", _DEFAULT_MAX_TOKENS)),
        stop=tuple(plain.get("stop", ())),
        folder=folder,
        size=_size(plain),
        shots=_shots(plain),
        intro=plain.get("intro"),
        join=Join(**plain["join"]) if "join" in plain else None,
        followups=tuple(_asked(turn) for turn in plain.get("turns", ())[1:]),
        formats=_formats(plain.get("turns", ())),
    )


def _data(plain: Json) -> dict[str, tuple[DataSource, ...]]:
    splits = {_DEFAULT_SPLIT: plain} if isinstance(plain, list) else plain
    return {split: tuple(_source(place) for place in places) for split, places in splits.items()}


def _source(plain: Json) -> DataSource:
    rows = plain.get("rows")
    part = RowRange(rows["field"], int(rows["from"]), int(rows["to"])) if rows else None
    return DataSource(**{**plain, "rows": part})


def _size(plain: Json) -> dict[str, int]:
    given = plain.get("size", {})
    splits = given if isinstance(given, dict) else {_DEFAULT_SPLIT: given}
    return {split: int(count) for split, count in splits.items()}


def _messages(plain: Json) -> tuple[Message, ...]:
    system = [Message("system", plain["system"])] if "system" in plain else []
    begun = [Message("assistant", plain["prefill"])] if "prefill" in plain else []
    if "turns" in plain:
        return (*system, Message("user", _asked(plain["turns"][0])))
    if "prompt" in plain:
        return (*system, Message("user", plain["prompt"]), *begun)
    if "messages" in plain:
        return (*system, *(Message(**message) for message in plain["messages"]), *begun)
    return ()


def _asked(turn: Json) -> str:
    asked: str = turn["ask"] if isinstance(turn, dict) else turn
    return asked


def _formats(turns: Sequence[Json]) -> tuple[str | None, ...]:
    """The schema of each turn; empty where none has one."""
    own = tuple(turn.get("format") if isinstance(turn, dict) else None for turn in turns)
    return tuple(format_ and formats.text(format_) for format_ in own) if any(own) else ()


def _shots(plain: Json) -> Shots | None:
    given = plain.get("shots")
    return None if given is None else Shots(**{**given, "n": int(given["n"])})


def _check_shots(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    """Examples have a split of their own."""
    if "shots" not in root.map:
        return
    split, data = root.map["shots"].map["split"], root.map["data"]
    splits = list(data.map) if data.is_map else [_DEFAULT_SPLIT]
    path = (*at, "shots", "split")
    if split.content not in splits:
        diagnostics.unknown(split, path, f"the task has no split '{split.content}'", splits)
    elif len(splits) == 1:
        message = f"examples need a split beside the one that is asked, and '{splits[0]}' is the only one"
        diagnostics.error(split.place, path, message, hint="add the split to `data:`")


def _check_size(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    """Sizes are those of splits that there are."""
    size, data = root.map.get("size"), root.map["data"]
    if size is None:
        return
    splits = list(data.map) if data.is_map else [_DEFAULT_SPLIT]
    for split, count in (size.map if size.is_map else {_DEFAULT_SPLIT: size}).items():
        if split not in splits:
            message = f"the task has no split '{split}'"
            named = Node(split, count.place)
            diagnostics.unknown(named, (*at, "size", split), message, splits, at_key=size.is_map)


def _check_form(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    """Exactly one of prompt, messages, text, turns, and beside it what goes with it."""
    given = [form for form in _FORMS if form in root.map]
    if not given:
        message = "a task needs one of `prompt`, `messages`, `text`, `turns`"
        diagnostics.error(root.place, at, message, hint="say what the model is asked", at_key=True)
    for form in given[1:]:
        message = f"both `{given[0]}` and `{form}` say what the model is asked"
        diagnostics.error(root.map[form].place, (*at, form), message, hint="keep one of them", at_key=True)
    for key in ("shots", "prefill") if "turns" in root.map else ():
        if key in root.map:
            message = f"a chat of several `turns` has no `{key}`"
            diagnostics.error(root.map[key].place, (*at, key), message, at_key=True)
    if "system" in root.map and "text" in given:
        message = "`system` has no place in a text that is to be continued"
        diagnostics.error(root.map["system"].place, (*at, "system"), message, at_key=True)
    _check_prefill(root, given, at, diagnostics)
    _check_single_turn(root, at, diagnostics)
    if "intro" in root.map and given and "text" not in given:
        message = "`intro` begins a `text`; what begins a chat is `system`"
        diagnostics.error(root.map["intro"].place, (*at, "intro"), message, at_key=True)
    between = root.map["shots"].get("between") if "shots" in root.map else None
    if between is not None and given and {"prompt", "messages"}.issuperset(given):
        message = "`between` stands between the parts of a `text`; the examples of a chat are messages"
        diagnostics.error(between.place, (*at, "shots", "between"), message, hint="leave it out", at_key=True)


def _check_single_turn(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    turns = root.map["turns"].items if "turns" in root.map else []
    if len(turns) == 1 and "format" not in turns[0].map:
        message = "a chat of one question is no chat of several `turns`"
        diagnostics.error(root.map["turns"].place, (*at, "turns"), message, hint="write it as `prompt`", at_key=True)


def _check_prefill(root: Node, given: list[str], at: NodePath, diagnostics: Diagnostics) -> None:
    if "prefill" not in root.map:
        return
    last = root.map["messages"].items[-1:] if "messages" in root.map else ()
    hint, message = "", ""
    if "text" in given:
        message, hint = "a text that is to be continued has no `prefill`", "write it at the end of `text`"
    elif any(one.text("role") == "assistant" for one in last):
        message, hint = "the last of `messages` begins the answer already", "keep one of them"
    if message:
        diagnostics.error(root.map["prefill"].place, (*at, "prefill"), message, hint=hint, at_key=True)


def _check_sources(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    data = root.map["data"]
    lists = data.map if data.is_map else {"": data}
    for split, places in lists.items():
        for index, place in enumerate(places.items):
            kinds = [kind for kind in ("file", "package", "hub") if kind in place.map]
            path = (*at, "data", *([split] if split else []), index)
            if not kinds:
                diagnostics.error(place.place, path, "a source needs one of `file`, `package`, `hub`")
            for kind in kinds[1:]:
                message, where = f"both `{kinds[0]}` and `{kind}` in one source", place.map[kind].place
                diagnostics.error(where, (*path, kind), message, hint="make it two sources", at_key=True)
            if "rows" in place.map:
                _check_range(place.map["rows"], (*path, "rows"), diagnostics)


def _check_range(rows: Node, path: NodePath, diagnostics: Diagnostics) -> None:
    first, last = rows.map["from"], rows.map["to"]
    if first.content > last.content:
        message = f"there is no number from {first.content} to {last.content}"
        diagnostics.error(last.place, (*path, "to"), message, hint="the smaller number comes first")


def _scorer(root: Node, at: NodePath, diagnostics: Diagnostics) -> tuple[str, dict[str, Json]]:
    """The scorer's name and options. A text alone is the option `answer`. The scorer itself checks its options."""
    ((name, node),) = root.map["score"].map.items()
    options: dict[str, Json] = node.plain() if node.is_map else {"answer": node.content}
    path = (*at, "score", name)
    if name not in registry.names("scorers"):
        diagnostics.error(node.place, path, f"the scorer `{name}` is {LATER}", at_key=True)
        return name, options
    try:
        registry.load("scorers", name)(options)
    except PrerequisiteError:
        pass  # a package that is not installed here is no mistake in the file; running the task says what to install
    except EvalkitError as error:
        diagnostics.error(node.place, path, error.message, hint=error.hint, at_key=True)
    return name, options


def _check_templates(root: Node, at: NodePath, diagnostics: Diagnostics) -> None:
    for key in ("id", "prompt", "system", "text", "intro", "prefill"):
        if key in root.map:
            _check_template(root.map[key], (*at, key), diagnostics)
    if "shots" in root.map:
        _check_template(root.map["shots"].map["answer"], (*at, "shots", "answer"), diagnostics)
    turns = root.map.get("turns")
    for index, turn in enumerate(turns.items if turns else []):
        _check_turn(turn, (*at, "turns", index), diagnostics)
    messages = root.map.get("messages")
    for index, message in enumerate(messages.items if messages else []):
        _check_template(message.map["content"], (*at, "messages", index, "content"), diagnostics)
    _check_options(root.map["score"], (*at, "score"), diagnostics)


def _check_turn(turn: Node, path: NodePath, diagnostics: Diagnostics) -> None:
    if not turn.is_map:
        _check_template(turn, path, diagnostics)
        return
    _check_template(turn.map["ask"], (*path, "ask"), diagnostics)
    if "format" in turn.map:
        formats.check(turn.map["format"], (*path, "format"), diagnostics)


def _check_options(node: Node, path: NodePath, diagnostics: Diagnostics) -> None:
    """Options of a scorer may be templates as well."""
    for key, child in node.map.items():
        _check_options(child, (*path, key), diagnostics)
    if isinstance(node.content, str) and "{{" in node.content:
        _check_template(node, path, diagnostics)


def _check_template(node: Node, path: NodePath, diagnostics: Diagnostics) -> None:
    text: str = node.content
    if not _needs_jinja(text):
        return
    import jinja2

    from evalkit.core.templates import check_syntax

    try:
        check_syntax(text)
    except jinja2.TemplateSyntaxError as error:
        place = _line_of(node, error.lineno, text)
        reason = (error.message or "").partition(". ")[0].rstrip(".")
        diagnostics.error(place, path, "the template is not Jinja2", hint=reason)


def _needs_jinja(text: str) -> bool:
    """False for a template of plain `{{ field }}`, which is right without asking: importing Jinja2 takes a while."""
    rest = _FIELD.sub(lambda match: match[0] if match[1] in _JINJA_WORDS else "", text)
    return any(mark in rest for mark in ("{{", "{%", "{#"))


def _line_of(node: Node, line: int, text: str) -> Place | None:
    """The line of the template that is wrong, where a block text shows it line by line."""
    place = node.place
    if place is None or place.style != "literal":
        return place
    rows = text.split("\n")
    row = rows[min(line, len(rows)) - 1]
    span = Span(place.span.line + line, place.indent + 1, max(1, len(row)))
    return Place(place.file, span, "plain", place.key)
