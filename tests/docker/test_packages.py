"""A spec's own packages, on a real engine: numpy under the limits of programs, arrays between program and tests."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Json, Limits, Program
from evalkit.sandboxes.docker import ADAPTER

_LIMITS = Limits(wall_s=30.0, cpu_s=10.0, memory_mb=1024)
_NUMPY: dict[str, Json] = {"packages": ["numpy==2.2.6"], "workers": 1}
Judge = Callable[..., Execution]


@pytest.fixture(scope="module")
def with_numpy(client: Any) -> Iterator[Sandbox]:
    ADAPTER.prepare(_NUMPY, print)
    pool = ADAPTER.open(_NUMPY, print)
    yield pool
    pool.close()


@pytest.fixture
def judge(with_numpy: Sandbox) -> Judge:
    def run(code: str, *tests: str, **more: Any) -> Execution:
        known = {"setup": "import numpy as np", "entry_point": "f", "limits": _LIMITS, **more}
        result = with_numpy.submit(Program("k", f"import numpy as np\n{code}", tests, **known)).result(120)
        assert isinstance(result, Execution), result
        return result

    return run


_HONEST = {
    "plain numbers": ("def f(x):\n    return int(np.sum(x))", ["assert f([1, 2]) == 3"]),
    "scalars": (
        "def f(x):\n    return np.sum(np.array(x))",
        ["assert f([1, 2]) == 3", "assert f([1.5]) < 2", "assert isinstance(f([1]), np.integer)"],
    ),
    "arrays": (
        "def f(x):\n    return np.array(x) * 2",
        [
            "assert (f([1, 2]) == np.array([2, 4])).all()",
            "np.testing.assert_allclose(f([1.5]), [3.0])",
            "assert f([[1, 2], [3, 4]]).shape == (2, 2)",
            "assert f([1, 2]).tolist() == [2, 4]",
        ],
    ),
    "arguments": ("def f(x, y):\n    return (x @ y).sum()", ["assert f(np.eye(3), np.eye(3)) == 3"]),
    "changed arguments": (
        "def f(x):\n    x[0] = 9\n    x.sort()",
        ["given = np.array([3, 1, 2])\nf(given)\nassert given.tolist() == [1, 2, 9]"],
    ),
    "callbacks": ("def f(g):\n    return g(np.arange(3))", ["assert f(lambda x: x.sum()) == 3"]),
    "linear algebra": (
        "def f(n):\n    a = np.random.rand(n, n)\n    return np.linalg.inv(a) @ a",
        ["assert np.allclose(f(300), np.eye(300))"],
    ),
    "another Python": (
        "import subprocess, sys\n"
        "def f():\n"
        "    command = [sys.executable, '-c', 'import numpy; print(numpy.arange(4).sum())']\n"
        "    return subprocess.run(command, capture_output=True, text=True).stdout",
        ["assert f() == '6\\n'"],
    ),
}


@pytest.mark.network
@pytest.mark.parametrize("name", _HONEST)
def test_honest_programs_pass(name: str, judge: Judge) -> None:
    """What passes without a wall passes with it."""
    code, tests = _HONEST[name]
    result = judge(code, *tests)
    assert result.outcome == "passed", result


@pytest.mark.network
def test_tests_without_numpy(judge: Judge) -> None:
    """Tests that never import numpy see the program's arrays and scalars all the same."""
    code = "def f(x):\n    return np.array(x) * 2"
    assert judge(code, "assert list(f([1, 2])) == [2, 4]", "assert f([1])[0] == 2", setup="").outcome == "passed"


_CHEATS = {
    "wrong numbers": "def f(x):\n    return np.zeros(2)",
    "an array that agrees": (
        "class Yes(np.ndarray):\n"
        "    def __eq__(self, other):\n"
        "        return np.ones(self.shape, bool)\n"
        "def f(x):\n"
        "    return np.zeros(2).view(Yes)"
    ),
    "elements that agree": (
        "class Yes:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return np.array([Yes(), Yes()])"
    ),
    "numpy patched": ("np.array_equal = np.allclose = lambda *args, **kw: True\ndef f(x):\n    return np.zeros(2)"),
    "an object with an array's protocols": (
        "class Yes:\n"
        "    __array_priority__ = 1000\n"
        "    __array_ufunc__ = None\n"
        "    def __array__(self, *args, **kw):\n"
        "        return np.array([2, 4])\n"
        "    def __eq__(self, other):\n"
        "        return np.ones(2, bool)\n"
        "def f(x):\n"
        "    return Yes()"
    ),
}


@pytest.mark.network
@pytest.mark.parametrize("name", _CHEATS)
def test_cheats_do_not_pass(name: str, judge: Judge) -> None:
    """Comparison happens in the tests' own numpy, with data that holds no method of the program."""
    tests = ["assert (f([1, 2]) == np.array([2, 4])).all()", "assert (np.array([2, 4]) == f([1, 2])).all()"]
    tests += ["assert np.array_equal(f([1, 2]), [2, 4])", "assert np.allclose(f([1, 2]), [2, 4])"]
    for test in tests:
        assert judge(_CHEATS[name], test).outcome in ("wrong_answer", "runtime_error"), test


# -- images -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is all of pip's world, with two versions of one package, and a cache of its own."""
    folder = tmp_path / "index"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        name = f"evalkit_toy-{version}"
        with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("evalkit_toy.py", f"VERSION = {version!r}\n")
            wheel.writestr(
                f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: evalkit-toy\nVersion: {version}\n"
            )
            wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{name}.dist-info/RECORD", "")
    for key, value in {"CONFIG_FILE": "/dev/null", "NO_INDEX": "1", "FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(f"PIP_{key}", value)
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def remove_later(client: Any) -> Iterator[Callable[[str], None]]:
    """Images of a test's own, removed after it."""
    names: list[str] = []
    yield names.append
    for name in names:
        for image in client.images.list(filters={"label": f"evalkit.sandbox.requirements={name}"}):
            client.images.remove(image.id, force=True)


def _version(options: dict[str, Json]) -> str:
    code = "import evalkit_toy, sys\ndef f():\n    return evalkit_toy.VERSION, 'evalkit_toy' in sys.modules\n"
    pool = ADAPTER.open(options, print)
    try:
        results = {}
        for version in ("1.0", "2.0"):
            test = f"assert f() == ({version!r}, True)"
            result = pool.submit(Program("k", code, (test,), entry_point="f", limits=_LIMITS)).result(60)
            results[version] = getattr(result, "outcome", "void")
    finally:
        pool.close()
    [found] = [version for version, outcome in results.items() if outcome == "passed"]
    return found


def test_two_wishes_two_images(client: Any, index: Path, remove_later: Callable[[str], None]) -> None:
    """Other packages are another image with another identity; the parts name what was installed, by digest."""
    wishes: list[dict[str, Json]] = [
        {"packages": [f"evalkit-toy=={version}"], "workers": 1} for version in ("1.0", "2.0")
    ]
    for wish in wishes:
        remove_later(f'["{wish["packages"][0]}"]')
        ADAPTER.prepare(wish, print)
    assert 3 == len({ADAPTER.identity(wish) for wish in (*wishes, {})})
    assert ["1.0", "2.0"] == [_version(wish) for wish in wishes]
    parts = ADAPTER.parts(wishes[0])
    assert "1.0" == parts["packages"]["evalkit-toy"]["version"]
    assert 64 == len(parts["packages"]["evalkit-toy"]["sha256"])
    assert {} == ADAPTER.parts({})["packages"]
    assert parts["worker"] == ADAPTER.parts({})["worker"]


def test_built_once(client: Any, index: Path, remove_later: Callable[[str], None]) -> None:
    """The second run builds nothing and needs no index; a new worker takes the packages as they were installed."""
    wish: dict[str, Json] = {"packages": ["evalkit-toy<2"], "workers": 1}
    remove_later('["evalkit-toy<2"]')
    said: list[str] = []
    ADAPTER.prepare(wish, said.append)
    before = ADAPTER.identity(wish)
    assert [line.split(" ", 1)[0] for line in said] == ["fetching", "installing", "building"]
    said.clear()
    for wheel in index.iterdir():
        wheel.unlink()
    ADAPTER.prepare(wish, said.append)
    assert [] == said
    for image in client.images.list(filters={"label": 'evalkit.sandbox.requirements=["evalkit-toy<2"]'}):
        for tag in image.tags:
            if tag.startswith("evalkit-sandbox:"):
                client.images.remove(tag)
    ADAPTER.prepare(wish, said.append)
    assert [line.split(" ", 1)[0] for line in said] == ["building"]
    assert before == ADAPTER.identity(wish)


def test_a_package_that_is_not_there(client: Any, index: Path) -> None:
    """No image is built, and the sentence says what is missing for which Python."""
    with pytest.raises(PrerequisiteError, match=r"evalkit-toy==3.0 cannot be had for Python 3\.\d+\.\d+"):
        ADAPTER.prepare({"packages": ["evalkit-toy==3.0"]}, print)


def test_a_base_without_python(client: Any, tmp_path: Path) -> None:
    """An image that has no Python is refused before anything is built on it."""
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    client.api.import_image_from_data(packed.getvalue(), repository="evalkit-test-empty", tag="latest")
    try:
        with pytest.raises(PrerequisiteError, match="image evalkit-test-empty:latest") as caught:
            ADAPTER.prepare({"image": "evalkit-test-empty:latest"}, print)
        assert "3.9 or later" in (caught.value.hint or "")
    finally:
        client.images.remove("evalkit-test-empty:latest")
