"""Everything one load reads: texts under the names people see, where the files lie, what is wrong with them."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from evalkit.spec import source
from evalkit.spec.diagnostics import Diagnostic, Diagnostics
from evalkit.spec.nodes import Node, Place, Span

LANGUAGE_VERSION = 1
YAML_SUFFIXES = (".yaml", ".yml")


class Reading:
    """One load in progress: what was read so far, and the diagnostics."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self.diagnostics = Diagnostics()

    def aside(self) -> Reading:
        """The same reading with diagnostics of its own, for a second look of which only a part will be told."""
        other = Reading()
        other.sources, other.paths = self.sources, self.paths
        return other

    def read(self, shown: str, path: Path, hint: str = "") -> Node | None:
        """The document in a file, shown to people as `shown`; None when it cannot be read at all."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            self._fail_whole(shown, _reason(path, error), hint)
            return None
        text, broken = source.decode(raw, shown)
        self.sources[shown], self.paths[shown] = text, path.absolute()
        for found in broken:
            self.diagnostics.add(found)
        return None if broken else self.parse(text, shown)

    def parse(self, text: str, shown: str, *, column: int = 0) -> Node | None:
        """The value of a text; None, with diagnostics, when it has no value or is not to be trusted."""
        parsed = source.parse(text, shown, column=column)
        for found in parsed.diagnostics:
            self.diagnostics.add(found)
        return None if parsed.diagnostics else parsed.node

    def folder(self, place: Place | None, main: str) -> Path:
        """Where relative paths written at `place` start from: the file's own folder, for --set the current one."""
        if place is None:
            return self.paths[main].parent
        path = self.paths.get(place.file)
        return path.parent if path is not None else Path.cwd()

    def check_version(self, root: Node, shown: str) -> bool:
        """Say what is wrong when the document is not a map in this version of the language."""
        if not root.is_map:
            kind = "a list" if root.is_list else "a single value"
            place = Place(shown, root.place.span if root.place else Span(1, 1, 1), "plain")
            self.diagnostics.error(place, (), f"the file holds {kind}, not a map", hint="begin with 'evalkit: 1'")
            return False
        version = root.get("evalkit")
        if version is None:
            self.diagnostics.error(root.place, (), "missing key 'evalkit'", hint="begin the file with 'evalkit: 1'")
            return False
        if type(version.content) is int and version.content > LANGUAGE_VERSION:
            message = (
                f"this file is in version {version.content} of the language, this evalkit knows {LANGUAGE_VERSION}"
            )
            self.diagnostics.error(version.place, ("evalkit",), message, hint="upgrade evalkit")
            return False
        if type(version.content) is not int or version.content != LANGUAGE_VERSION:
            message = "`evalkit` is the version of the language"
            self.diagnostics.error(version.place, ("evalkit",), message, hint="write 'evalkit: 1'")
            return False
        return True

    def document(self, shown: str, path: Path, hint: str = "") -> Node | None:
        """A file that is a document in this version of the language, or None with diagnostics."""
        root = self.read(shown, path, hint)
        if root is None:
            if shown in self.sources and not self.diagnostics.failed:
                self._fail_whole(shown, "the file is empty", "begin with 'evalkit: 1'")
            return None
        return root if self.check_version(root, shown) else None

    def _fail_whole(self, shown: str, message: str, hint: str) -> None:
        self.diagnostics.add(Diagnostic("error", shown, 0, 0, 0, message, hint))


def nearest_file(path: Path) -> str:
    """`did you mean 'x.yaml'?` for a document that is not where it was looked for."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    known = {entry.stem: entry.name for entry in beside if entry.suffix in YAML_SUFFIXES}
    near = get_close_matches(path.stem, known, 1)
    return f"did you mean '{known[near[0]]}'?" if near else ""


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a file"
    return f"cannot be read: {error.strerror}"
