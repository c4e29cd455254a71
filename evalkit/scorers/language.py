"""Which language a text is in.

By langdetect, because the published verdicts of IFEval are: of 95 recorded ones that depend on the language it gives
all, py3langid 92 and lingua 89 (which does not know Kannada). Its last release is of 2021; it is pure Python, has its
profiles with it and, with a seed, always answers the same.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from evalkit.core.errors import PrerequisiteError

_SEED = 0


def language(text: str) -> str | None:
    """The language's code (`en`, `pt`, `zh-cn`); None for a text in which none can be told, such as one of digits.

    Raises PrerequisiteError without the package langdetect.
    """
    factory, unknown = _factory()
    detector = factory.create()
    detector.append(text)
    try:
        return str(detector.detect())
    except unknown:
        return None


@cache
def _factory() -> tuple[Any, type[Exception]]:
    """A factory of our own: the package's is shared by all its users, and has no seed."""
    try:
        from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
        from langdetect.lang_detect_exception import LangDetectException
    except ImportError as error:
        raise PrerequisiteError(
            f"the scorer ifeval needs a package: {error}", hint="pip install 'evalkit-spec[ifeval]'"
        ) from error
    factory = DetectorFactory()
    # sorted: the package takes them in the order in which the disk lists them
    factory.load_json_profile([path.read_text("utf-8") for path in sorted(Path(PROFILES_DIRECTORY).iterdir())])
    factory.set_seed(_SEED)
    return factory, LangDetectException
