"""`extends:` - a spec that completes another: maps are merged, lists replaced, `null` deletes."""

from __future__ import annotations

import posixpath
from pathlib import Path

from evalkit.spec.nodes import Node
from evalkit.spec.reading import Reading, nearest_file

_OWN = frozenset({"evalkit", "extends", "name", "about", "steps", "report"})
"""What a spec never inherits."""


def resolve(root: Node, shown: str, reading: Reading, chain: tuple[Path, ...] = ()) -> Node | None:
    """The document merged over all that it extends. None, with diagnostics, where one of them cannot be read."""
    wish = root.get("extends")
    if wish is None or not isinstance(wish.content, str) or not wish.content:
        return root  # absent, or of a wrong type that the schema complains about
    chain = (*chain, reading.paths[shown].resolve())
    path = reading.paths[shown].parent / Path(wish.content).expanduser()
    if path.resolve() in chain:
        names = " → ".join(member.name for member in (*chain[chain.index(path.resolve()) :], path))
        reading.diagnostics.error(wish.place, ("extends",), "the files extend each other", hint=names)
        return None
    if not path.is_file():
        reading.diagnostics.error(wish.place, ("extends",), f"there is no file '{wish.content}'", hint=_nearby(path))
        return None
    shown_parent = posixpath.normpath(posixpath.join(posixpath.dirname(shown), wish.content))
    parent = reading.document(shown_parent, path)
    merged = resolve(parent, shown_parent, reading, chain) if parent is not None else None
    if merged is None:
        return None
    kept = {key: child for key, child in merged.map.items() if key not in _OWN}
    return merge(Node(kept, merged.place), root)


def merge(below: Node, above: Node) -> Node:
    """`above` laid over `below`. `null` deletes what is below; where nothing is, it stays, for the schema to refuse."""
    if not (below.is_map and above.is_map):
        return above
    entries = dict(below.map)
    for key, child in above.map.items():
        if key not in entries:
            entries[key] = child
        elif child.content is None:
            del entries[key]
        else:
            entries[key] = merge(entries[key], child)
    return Node(entries, above.place)


def _nearby(path: Path) -> str:
    if not path.parent.is_dir():
        return "there is no such folder either"
    return nearest_file(path)
