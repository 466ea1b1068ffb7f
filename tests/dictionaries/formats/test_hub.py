"""Dictionaries by the name of a repository: from a Hub on this machine, and from its cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import torch
from huggingface_hub import constants

from tests.dictionaries.formats.made import activations, mirrored
from tomogram.dictionaries.formats import dictionary_learning, gemma_scope, hub, saelens
from tomogram.dictionaries.formats.load import load, locate
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.shape import autoencoder
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESID = Site("resid_post", 1)

PARAMS = {f"layer_{i}/width_2/l0_{j}/params.npz": b"%d%d" % (i, j) for i in (1, 2) for j in (7, 8)}
REPOSITORIES = {
    "google/tiny-res": PARAMS | {"README.md": b"words", "layer_1/notes.txt": b"more"},
    "someone/pickled": {"a/config.json": b"{}", "a/ae.pt": b"pickle", "b/params.npz": b"plain"},
    "someone/empty": {"README.md": b"words"},
    "someone/huge": {f"layer_{i}/params.npz": b"x" for i in range(2)},
    "someone/hostile": {"../../escaped/params.npz": b"x", "params.npz": b"y"},
}
HUGE = 40 * 10**9


class _Hub(BaseHTTPRequestHandler):
    """The few answers of the Hub that a download needs."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
            files = REPOSITORIES.get(name)
            if files is None:
                self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif rest[:1] == ["tree"]:
                listed = [
                    {"type": "file", "path": path, "size": len(data), "oid": sha1(data).hexdigest()}
                    for path, data in files.items()
                ]
                self._answer(200, json.dumps(listed).encode())
            elif rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
                self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            else:
                size = HUGE if "huge" in name else 1
                siblings = [{"rfilename": path, "size": size} for path in files]
                known = {"id": name, "sha": COMMIT, "siblings": siblings}
                self._answer(200, json.dumps(known).encode())
            return
        name, path = "/".join(parts[:2]), "/".join(parts[4:])
        data = REPOSITORIES[name][path]
        self._answer(200, data, {"ETag": f'"{sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


SCRIPT = """
import json, sys
from tomogram.dictionaries.formats import hub
from tomogram.store.errors import TomogramError
files = ["params.npz", "config.json", "ae.pt"]
for name in sys.argv[2:]:
    try:
        found = hub.fetch(name, files, pickles=["ae.pt"], allow_pickle=sys.argv[1] == "allow")
        print(json.dumps([str(found), sorted(
            str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()
        )]))
    except TomogramError as error:
        print(json.dumps(str(error)))
print(json.dumps("torch" in sys.modules))
"""


def _fetch(
    home: Path, endpoint: str, *names: str, pickles: str = "refuse", offline: bool = False
) -> list[list | str]:
    """What a process of its own gets from a Hub: folder and files, or the error's sentence."""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | {
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, pickles, *names],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *found, imported = map(json.loads, done.stdout.splitlines())
    assert imported is False
    return found


def test_a_place_is_downloaded_and_then_found_without_the_network(tmp_path, server):
    endpoint = f"http://127.0.0.1:{server.server_port}"
    names = ["google/tiny-res/layer_1", f"google/tiny-res/layer_1@{COMMIT}"]
    for offline in (False, True):
        server.asked.clear()
        for folder, files in _fetch(tmp_path, endpoint, *names, offline=offline):
            assert folder.endswith(f"models--google--tiny-res/snapshots/{COMMIT}/layer_1")
            assert files == ["width_2/l0_7/params.npz", "width_2/l0_8/params.npz"]
            assert Path(folder, files[0]).read_bytes() == b"17"
        assert bool(server.asked) is not offline
    # What was not downloaded is not taken for nothing.
    (sentence,) = _fetch(tmp_path, endpoint, "google/tiny-res", offline=True)
    assert "could not be had from the Hugging Face Hub or its cache" in sentence
    # Nobody answers at this address.
    (found,) = _fetch(tmp_path, "http://127.0.0.1:9", "google/tiny-res/layer_1")
    assert found[1] == ["width_2/l0_7/params.npz", "width_2/l0_8/params.npz"]


def test_what_cannot_be_had_is_told_in_one_sentence(tmp_path, server):
    expected = {
        "nobody/nothing": "There is no folder nobody/nothing here",
        "google/tiny-res@other": "There is no folder google/tiny-res@other here",
        "google/tiny-res/layer_9": "holds no dictionary in a format known here",
        "someone/empty": "holds no dictionary in a format known here",
        "someone/pickled": "holds the pickle a/ae.pt, which can run code when read",
        "someone/huge": "2 folders of dictionaries, 80 GB: name one of them, such as "
        "someone/huge/layer_0",
        "nobody": "'nobody' is no name of a repository",
        "google/tiny-res/../x": "is no name of a repository",
    }
    endpoint = f"http://127.0.0.1:{server.server_port}"
    found = _fetch(tmp_path, endpoint, *expected)
    for sentence, (name, part) in zip(found, expected.items(), strict=True):
        assert isinstance(sentence, str), name
        assert part in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence


def test_pickles_are_downloaded_only_when_allowed_and_no_file_leads_out(tmp_path, server):
    endpoint = f"http://127.0.0.1:{server.server_port}"
    names = ["someone/pickled", "someone/pickled/b", "someone/hostile"]
    first, second, third = _fetch(tmp_path, endpoint, *names, pickles="allow")
    assert first[1] == ["a/ae.pt", "a/config.json", "b/params.npz"]
    assert second[1] == ["params.npz"]
    assert third[1] == ["params.npz"]
    assert not list(tmp_path.rglob("escaped"))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """The snapshot of `google/tiny-res` in a cache that was filled by hand."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--google--tiny-res"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


def test_dictionaries_are_loaded_by_name(cache, model, text):
    x = activations(model, text, RESID)
    dictionary = mirrored(JumpReLU(autoencoder(RESID, 16), 32), x, x)
    gemma_scope.save(dictionary, cache / "layer_1" / "width_32" / "average_l0_16")
    saelens.save(dictionary, cache / "other", model="tiny", context=12)
    for name, count in (("", 2), ("/layer_1", 1), ("/other", 1)):
        loaded = load(f"google/tiny-res{name}", model, text)
        assert [d.read for d in loaded] == [RESID] * count
        for each in loaded:
            assert torch.allclose(each(x), x, atol=1e-4)


def test_a_pickle_in_the_cache_is_refused_unless_allowed(cache, model, text):
    x = activations(model, text, RESID)
    dictionary = mirrored(JumpReLU(autoencoder(RESID, 16), 32), x, x)
    dictionary_learning.save(dictionary, cache, model="tiny")
    with pytest.raises(TomogramError, match="is a pickle"):
        load("google/tiny-res", model, text)
    (loaded,) = load("google/tiny-res", model, text, allow_pickle=True)
    assert torch.allclose(loaded(x), x, atol=1e-4)


def test_without_network_and_cache_there_is_one_clear_sentence(cache):
    with pytest.raises(TomogramError, match=r"nobody/such here.*Hub or its cache.*offline.*\.$"):
        locate("nobody/such")
    with pytest.raises(TomogramError, match=r"tiny-res/missing here"):
        locate("google/tiny-res/missing")


def test_what_exists_here_is_taken_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("google/tiny-res").mkdir(parents=True)
    assert locate("google/tiny-res") == Path("google/tiny-res")
    Path("google/file").write_text("")
    with pytest.raises(TomogramError, match="no folder of dictionaries at google/file"):
        locate("google/file")


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("google/gemma-scope-2b-pt-res", True),
        ("google/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82", True),
        ("a/b@v1.0", True),
        ("a/b/c@refs/pr/1", True),
        ("a", False),
        ("/a/b", False),
        ("a/../b", False),
        ("a/b/..", False),
        ("a/.b", False),
        ("a/b@../../x", False),
        ("a//b", False),
        ("a/b/", False),
    ],
)
def test_names_of_the_hub(name, fits):
    assert hub.is_name(name) is fits
