"""What all tests share."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import settings

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Engine
from evalkit.core.types import Model
from evalkit.engines import embedded
from evalkit.fetch import package
from evalkit.run.workers import open_engine

# A busy machine is no defect: time is measured in benchmarks/, never by a test.
settings.register_profile("evalkit", deadline=None)
settings.load_profile("evalkit")

_NO_SKIPS = "EVALKIT_NO_SKIPS"
_ENGINE_START_S = 120
_LLAMA_SLOTS = 4
_LLAMA_CONTEXT = 2048
_VLLM_PYTHON = os.environ.get("EVALKIT_VLLM_PYTHON")
"""An interpreter that has vLLM: `tox -e vllm` names it, by tests/vllm/environment.py."""
_WRITING = ["transformers", *(["vllm"] if _VLLM_PYTHON else [])]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files instead of comparing")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a `writing` engine runs over every one that generates; over vLLM where its interpreter is
    named."""
    if "writing" in metafunc.fixturenames:
        params = [pytest.param(name, marks=pytest.mark.model) for name in _WRITING]
        metafunc.parametrize("writing", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def transformers_engine() -> Iterator[Engine]:
    """The embedded model by transformers, its worker process included."""
    for name in ("torch", "transformers", "xgrammar"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    engine = open_engine(Model("smol", "transformers", {"embedded": "smollm2-135m"}), lambda text: None)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def vllm_model() -> Model:
    """The embedded model by vLLM, in the interpreter that EVALKIT_VLLM_PYTHON names."""
    if _VLLM_PYTHON is None:
        pytest.skip("needs vLLM: run this by python tests/vllm/environment.py pytest ...")
    source, options = {"embedded": "smollm2-135m"}, {"enforce_eager": True}
    return Model("smol", "vllm", source, options=options, python=_VLLM_PYTHON)


@pytest.fixture(scope="session")
def vllm_engine(vllm_model: Model) -> Iterator[Engine]:
    """The one start of vLLM that most tests share."""
    engine = open_engine(vllm_model, print)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def llama_server() -> Iterator[str]:
    """The address of llama.cpp's server, in this process, with the embedded model, called `smol`; four requests are
    answered at a time."""
    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    if find_spec("openai") is None:
        pytest.skip("openai is not installed")
    import xllamacpp

    model = embedded.lookup("smollm2-135m")
    try:
        weights = package.member(model.package, model.member, model.sha256, lambda text: None)
    except PrerequisiteError as error:
        pytest.skip(str(error))
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = ["smol"]
    params.n_parallel, params.n_ctx, params.port, params.verbosity = _LLAMA_SLOTS, _LLAMA_SLOTS * _LLAMA_CONTEXT, 0, -1
    params.cpuparams.n_threads = 1  # several would wait for each other in loops, and longest on a busy machine
    params.cache_prompt = False  # a prompt that is half computed is summed in another order
    running = xllamacpp.Server(params)
    yield f"{running.listening_address}/v1"
    del running


@pytest.fixture
def writing(request: pytest.FixtureRequest) -> Engine:
    """An engine that generates."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file; with --update-golden, write it there (and read the diff)."""

    def compare(path: Path, actual: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(actual, "utf-8")
        assert path.read_text("utf-8") == actual, f"{path.name} differs; --update-golden rewrites it"

    return compare


class PrivateDocker:
    """A Docker engine of one test alone, so that it may be stopped and emptied. It has the base and the sandbox."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["dockerd", "--host", self.host, "--data-root", f"{self._folder}/data"]
        command += ["--exec-root", f"{self._folder}/exec", "--pidfile", f"{self._folder}/pid"]
        command += ["--bridge", "none", "--iptables=false"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + _ENGINE_START_S
        while self._connected() is None:
            assert time.monotonic() < deadline, (self._folder / "log").read_text("utf-8", "replace")[-2000:]
            time.sleep(0.05)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=120)

    def client(self) -> Any:
        """A client of the SDK."""
        found = self._connected()
        assert found is not None
        return found

    def remove_sandbox(self) -> None:
        """Remove the sandbox's containers and images, whoever uses them, and again until no container comes back."""
        client = self.client()
        while found := client.images.list(filters={"label": "evalkit.sandbox.worker"}):
            for container in client.containers.list(all=True, ignore_removed=True):
                with suppress_engine():
                    container.remove(force=True)
            for image in found:
                with suppress_engine():
                    client.images.remove(image.id, force=True)

    def _connected(self) -> Any:
        import docker

        try:
            client = docker.DockerClient(base_url=self.host, timeout=30)
            client.ping()
        except (docker.errors.DockerException, OSError):
            return None
        return client


@contextmanager
def suppress_engine() -> Iterator[None]:
    """What is gone already, or not free yet, is no failure of a test that removes until all is gone."""
    import docker

    with suppress(docker.errors.APIError):
        yield


@pytest.fixture
def private_docker() -> Iterator[PrivateDocker]:
    """A second engine. Needs root, `dockerd`, and the first engine, from which it has its images."""
    import docker

    from evalkit.sandboxes import engine
    from evalkit.sandboxes.docker import ADAPTER, build

    if not engine.answers():
        pytest.skip("no Docker engine answers")
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a second Docker engine needs root and dockerd")
    names = [build(lambda text: None), ADAPTER.parts({})["base"]]
    folder = Path(mkdtemp(prefix="evalkit-docker-"))
    private = PrivateDocker(folder)
    private.start()
    try:
        images = docker.from_env(timeout=300).images
        for name in names:
            private.client().images.load(b"".join(images.get(name).save(named=True)))
        yield private
    finally:
        private.stop()
        shutil.rmtree(folder, ignore_errors=True)


WORDS = ("ash", "birch", "cedar", "dune", "elm", "fern", "glade", "heath", "iris", "juniper", "kelp", "larch", "moss")
_HELD_S = 60


@dataclass(frozen=True)
class Asked:
    """A request that a scripted server got."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """All that was asked, as one text."""
        return self.body.get("prompt") or "\n".join(message["content"] for message in self.body["messages"])


@dataclass(frozen=True)
class Scripted:
    """What a scripted server does: answers so; `held`, not before the test ends; `dripping`, a byte now and then until
    it ends; `cut`, not more than so many bytes."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    held: bool = False
    dripping: bool = False
    cut: int | None = None


def words_of(asked: Asked, *, noise: str = "") -> str:
    """The answer of a server that does as it is told: the same for the same prompt, and seed where it draws."""
    body = asked.body
    one = body.get("temperature", 1) == 0 or body.get("top_k") == 1 or body.get("top_p", 1) < 0.01
    one = one or body.get("min_p") == 1.0
    drawn = random.Random(f"{asked.prompt}/{None if one else body.get('seed', random.random())}/{noise}")
    words = [drawn.choice(WORDS) for _ in range(8)]
    return " ".join(words if body.get("repetition_penalty", 1) == 1 else dict.fromkeys(words))


def reply(asked: Asked, text: str | None = None, **changes: Any) -> dict[str, Any]:
    """A sound reply. `changes` are to the choice, but for `model`, `usage`, `choices` and `system_fingerprint`."""
    text = words_of(asked) if text is None else text
    said: dict[str, Any] = (
        {"message": {"role": "assistant", "content": text}} if "messages" in asked.body else {"text": text}
    )
    outer = {name: changes.pop(name) for name in ("model", "usage", "choices", "system_fingerprint") if name in changes}
    choice = {"index": 0, "finish_reason": "stop", **said, **changes}
    usage = {"prompt_tokens": len(asked.prompt.split()), "completion_tokens": len(text.split())}
    return {"id": "x", "object": "o", "model": asked.body["model"], "choices": [choice], "usage": usage, **outer}


class ScriptedServer:
    """A server on loopback that does what the test says: `script` gets a request; None is an honest answer."""

    def __init__(self, port: int = 0) -> None:
        self.script: Callable[[Asked], Scripted | None] = lambda asked: None
        self.asked: list[Asked] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = _HELD_S

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer._answer(
                    self, Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def real(self) -> list[Asked]:
        """What was asked but for the trials before the first question."""
        return [asked for asked in self.asked if "random digits" not in asked.prompt]

    def close(self) -> None:
        """As a server that dies: who is connected gets no more answers, and nobody can connect."""
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)
        scripted = self.script(asked) or Scripted(reply(asked))
        if scripted.held:
            self._ended.wait(_HELD_S)
        if self._ended.is_set():
            handler.close_connection = True
            return
        content = scripted.body if isinstance(scripted.body, bytes) else json.dumps(scripted.body).encode()
        kind = "text/html" if content.startswith(b"<") else "application/json"
        with suppress(OSError):  # who asked may be gone
            handler.send_response(scripted.status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **scripted.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            while scripted.dripping and not self._ended.wait(0.02):
                handler.wfile.write(b" ")
            handler.wfile.write(content[: scripted.cut])
            handler.close_connection = scripted.cut is not None


@pytest.fixture
def start_server() -> Iterator[Callable[..., ScriptedServer]]:
    """Starts servers that do what the test says, on a port of its choice."""
    started: list[ScriptedServer] = []

    def start(port: int = 0) -> ScriptedServer:
        started.append(ScriptedServer(port))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def server(start_server: Callable[..., ScriptedServer]) -> ScriptedServer:
    """A server that does what the test says."""
    return start_server()


@pytest.fixture(scope="session")
def scripted() -> Any:
    """The vocabulary of scripts: `Scripted`, `reply`, `words_of`."""
    return _Vocabulary


class _Vocabulary:
    Scripted = Scripted
    reply = staticmethod(reply)
    words_of = staticmethod(words_of)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With EVALKIT_NO_SKIPS set, as in continuous integration, a test that skips has failed: what it needs was to be
    there."""
    report = yield
    if os.environ.get(_NO_SKIPS) and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not be skipped here: {reason}"
    return report
