"""The hub: from its cache without a network, and over HTTP from a server that speaks its protocol.

Each case runs in a process of its own, because the hub's client reads HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("huggingface_hub", reason="the hub's client is an extra")

COMMIT = "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544"
OTHER = "0" * 40
ROWS = [{"id": "a", "answer": 1}, {"id": "b", "answer": 2}]
CARD = "---\nconfigs:\n- config_name: main\n  data_files:\n  - {split: test, path: main/test-*}\n---\n"

CHILD = """
import json, sys
from evalkit.core.errors import EvalkitError
from evalkit.fetch import hub
told = []
kind, repo, revision, config = json.loads(sys.argv[1])
try:
    if kind == "model":
        place = hub.model_folder(repo, revision, told.append)
        found = {"commit": place.name, "files": sorted(path.name for path in place.iterdir())}
    else:
        from evalkit.tasks.rows import parse_files
        got = hub.dataset_files(repo, revision, config, "test", told.append)
        names = [name for name, _ in got.files]
        found = {"commit": got.commit, "names": names, "rows": parse_files(got.files, "").rows}
except EvalkitError as error:
    found = {"error": type(error).__name__, "message": str(error), "hint": error.hint}
print(json.dumps({"told": told, **found}))
"""


def ask(home: Path, *what: str | None, **environment: str) -> dict[str, Any]:
    """What a fresh process finds: kind, repo, revision, config."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(what)],
        env={**inherited, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def offline(home: Path, *what: str | None) -> dict[str, Any]:
    return ask(home, *what, HF_HUB_OFFLINE="1")


def parquet_bytes(folder: Path, rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def cached(home: Path, kind: str, repo: str, files: dict[str, bytes], commit: str = COMMIT) -> None:
    """Lay files into the cache as the hub's client does: blobs, and links to them in the snapshot of a commit."""
    folder = home / "hub" / f"{kind}s--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text(commit)
    (folder / "blobs").mkdir(exist_ok=True)
    for number, (name, content) in enumerate(files.items()):
        blob = folder / "blobs" / f"{commit[:8]}{number:032x}"
        blob.write_bytes(content)
        link = folder / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))


class Hub(ThreadingHTTPServer):
    """Repositories (kind/owner/name → file → content) at one commit, in the hub's protocol."""

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repos = repos
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        for repo, files in self.server.repos.items():
            web = repo.removeprefix("models/")
            if path.startswith((f"/api/{repo}/tree/{COMMIT}", f"/api/{repo}/revision/")) or path == f"/api/{repo}":
                return self.reply(json.dumps(self.listing(path, files)).encode())
            if path.startswith(f"/{web}/resolve/{COMMIT}/"):
                name = path.split(f"/{COMMIT}/", 1)[1]
                if name in files:
                    return self.reply(files[name], etag=f"{abs(hash(files[name])):040x}"[:40])
        self.reply(b'{"error": "Repository not found"}', status=404, code="RepoNotFound")

    def listing(self, path: str, files: dict[str, bytes]) -> Any:
        if "/tree/" in path:
            return [
                {"type": "file", "oid": f"{number:040x}", "size": len(content), "path": name}
                for number, (name, content) in enumerate(files.items())
            ]
        siblings = [{"rfilename": name} for name in files]
        return {"id": path.split("/", 3)[3].split("/revision")[0], "sha": COMMIT, "siblings": siblings}

    def reply(self, content: bytes, status: int = 200, etag: str = "", code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Hub]:
    test = parquet_bytes(tmp_path, ROWS)
    weights = {"config.json": b"{}", "model.safetensors": b"w", "code.py": b"evil()", "pytorch_model.bin": b"pickle"}
    hub = Hub(
        {
            "datasets/org/sums": {
                "README.md": CARD.encode(),
                "main/test-00000-of-00001.parquet": test,
                "main/train-00000-of-00001.parquet": test,
                "sums.py": b"raise SystemExit",
            },
            "models/org/tiny": weights,
            "models/org/pickled": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
        }
    )
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.shutdown()
    hub.server_close()
    thread.join()


def test_a_cached_data_set_needs_no_network(tmp_path: Path) -> None:
    """A pinned revision in the hub's cache layout, with the network switched off."""
    files = {"README.md": CARD.encode(), "main/test-00000-of-00001.parquet": parquet_bytes(tmp_path, ROWS)}
    cached(tmp_path, "dataset", "org/sums", files)
    found = offline(tmp_path, "dataset", "org/sums", COMMIT, None)
    assert {"told": [], "commit": COMMIT, "names": ["main/test-00000-of-00001.parquet"], "rows": ROWS} == found


def test_a_cached_json_data_set_without_a_card(tmp_path: Path) -> None:
    """File names are enough."""
    cached(tmp_path, "dataset", "org/sums", {"main/test.jsonl": b'{"id": "a"}\n', "other/test.jsonl": b'{"id": "b"}\n'})
    assert [{"id": "a"}] == offline(tmp_path, "dataset", "org/sums", COMMIT, "main")["rows"]


def test_a_branch_without_network_is_the_cached_copy_with_a_notice(tmp_path: Path) -> None:
    """An unpinned revision may have moved: the user hears that it is the copy."""
    cached(tmp_path, "dataset", "org/sums", {"test.jsonl": b'{"id": "a"}\n'})
    found = offline(tmp_path, "dataset", "org/sums", None, None)
    assert (COMMIT, [{"id": "a"}]) == (found["commit"], found["rows"])
    assert ["data set org/sums is not to be had: the hub is switched off; taking the copy in the cache"] == found[
        "told"
    ]


@pytest.mark.parametrize("revision", [OTHER, None])
def test_nothing_cached_and_no_network_says_what_to_do(tmp_path: Path, revision: str | None) -> None:
    """Another revision in the cache is not this one."""
    if revision:
        cached(tmp_path, "dataset", "org/sums", {"test.jsonl": b'{"id": "a"}\n'})
    found = offline(tmp_path, "dataset", "org/sums", revision, None)
    assert ("PrerequisiteError", "data set org/sums is not to be had: the hub is switched off") == (
        found["error"],
        found["message"],
    )
    assert "HF_HUB_OFFLINE" in found["hint"]


def test_a_missing_shard_is_not_a_data_set(tmp_path: Path) -> None:
    """Half of a split in the cache does not pass for the whole."""
    cached(tmp_path, "dataset", "org/sums", {"main/test-00000-of-00002.parquet": parquet_bytes(tmp_path, ROWS)})
    assert "PrerequisiteError" == offline(tmp_path, "dataset", "org/sums", COMMIT, "main")["error"]


def test_a_data_set_is_fetched_once_and_without_its_code(tmp_path: Path, server: Hub) -> None:
    """Only the wanted split travels; the second time nothing is asked."""
    what = ("dataset", "org/sums", COMMIT, None)
    found = ask(tmp_path, *what, HF_ENDPOINT=server.url)
    assert (COMMIT, ROWS, ["fetching test of org/sums from the hub"]) == (found["commit"], found["rows"], found["told"])
    fetched = {path.rsplit("/", 1)[1] for path in server.asked if "/resolve/" in path}
    assert {"README.md", "test-00000-of-00001.parquet"} == fetched
    server.asked.clear()
    assert {**found, "told": []} == ask(tmp_path, *what, HF_ENDPOINT=server.url)
    assert [] == server.asked


def test_a_branch_is_resolved_to_its_commit(tmp_path: Path, server: Hub) -> None:
    """What is recorded can be pinned."""
    assert COMMIT == ask(tmp_path, "dataset", "org/sums", "main", None, HF_ENDPOINT=server.url)["commit"]


def test_an_unknown_config_names_the_known(tmp_path: Path, server: Hub) -> None:
    """A mistake in the task file, not a missing prerequisite."""
    found = ask(tmp_path, "dataset", "org/sums", COMMIT, "maths", HF_ENDPOINT=server.url)
    assert ("DataError", "data set org/sums: it has no config 'maths'", "name one as config: main") == (
        found["error"],
        found["message"],
        found["hint"],
    )


def test_an_unknown_data_set_is_said_to_be_unknown(tmp_path: Path, server: Hub) -> None:
    """Unknown and private look the same from outside."""
    found = ask(tmp_path, "dataset", "org/none", None, None, HF_ENDPOINT=server.url)
    assert ("PrerequisiteError", "data set org/none is not on the hub") == (found["error"], found["message"])


def test_an_unreachable_hub_is_a_prerequisite(tmp_path: Path) -> None:
    """Nobody listens on that port."""
    found = ask(tmp_path, "dataset", "org/sums", COMMIT, None, HF_ENDPOINT="http://127.0.0.1:9")
    assert "PrerequisiteError" == found["error"]
    assert found["message"].startswith("data set org/sums could not be fetched")


def test_a_model_comes_without_code_and_pickles(tmp_path: Path, server: Hub) -> None:
    """Configuration and safetensors only; afterwards no network is needed."""
    found = ask(tmp_path, "model", "org/tiny", COMMIT, None, HF_ENDPOINT=server.url)
    assert {
        "told": ["fetching model org/tiny from the hub"],
        "commit": COMMIT,
        "files": ["config.json", "model.safetensors"],
    } == found
    assert {**found, "told": []} == offline(tmp_path, "model", "org/tiny", COMMIT, None)


def test_a_model_without_safetensors_is_refused(tmp_path: Path, server: Hub) -> None:
    """Pickles can run code."""
    found = ask(tmp_path, "model", "org/pickled", COMMIT, None, HF_ENDPOINT=server.url)
    assert ("PrerequisiteError", "model org/pickled has no complete safetensors weights") == (
        found["error"],
        found["message"],
    )


def test_a_model_with_a_missing_shard_is_not_there(tmp_path: Path) -> None:
    """The index names every shard."""
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()
    files = {"config.json": b"{}", "model.safetensors.index.json": index, "model-1.safetensors": b"w"}
    cached(tmp_path, "model", "org/big", files)
    assert "PrerequisiteError" == offline(tmp_path, "model", "org/big", COMMIT, None)["error"]


def test_a_name_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    """Said before anything is asked."""
    found = offline(tmp_path, "dataset", "a/b/c", None, None)
    assert ("DataError", "owner/name") == (found["error"], found["hint"])
