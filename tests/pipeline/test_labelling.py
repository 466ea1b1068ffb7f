"""Labelling through a real server on this machine, killed and resumed."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tomogram.cli.main import main
from tomogram.custody.evidence import verify_tomogram
from tomogram.custody.verify import Outcome
from tomogram.features.judging.judge import Judge
from tomogram.features.labellers.chat import ChatLabeller
from tomogram.features.labellers.endpoint import Address, EndpointChat, RateLimit
from tomogram.pipeline.labelling import Wanted, labelling, labels_of
from tomogram.pipeline.labels import best_labels
from tomogram.report.tomogram import open_tomogram
from tomogram.store.errors import TomogramError


class Reader(ThreadingHTTPServer):
    """A chat model that labels by the first marked word and judges by looking for that word."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.fails_after: int | None = None


class _Handler(BaseHTTPRequestHandler):
    server: Reader

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"]
        self.server.asked.append(prompt)
        limit = self.server.fails_after
        if limit is not None and len(self.server.asked) > limit:
            self.send_response(401)
            self.end_headers()
            return
        data = json.dumps({"choices": [{"message": {"content": _answer(prompt)}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def _answer(prompt: str) -> str:
    if "have in common" in prompt:
        words = re.findall(r"« ?(\S+?) ?»", prompt.split("\n\n", 1)[1])
        return max(set(words), key=words.count) if words else "none"
    word = prompt.splitlines()[0].rsplit(" ", 1)[1]
    passages = [line for line in prompt.splitlines() if re.match(r"\d+\. ", line)]
    marked = ["".join(re.findall("«(.*?)»", line)) or line for line in passages]
    return str([int(word in part.split()) for part in marked])


@pytest.fixture(scope="module")
def folder(tiny_scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(tiny_scan, tmp_path_factory.mktemp("labelled") / "tiny"))


@pytest.fixture
def server() -> Iterator[Reader]:
    reader = Reader()
    threading.Thread(target=reader.serve_forever, daemon=True).start()
    yield reader
    reader.shutdown()
    reader.server_close()


def chat(server: Reader, name: str) -> EndpointChat:
    return EndpointChat(
        name, Address(f"http://127.0.0.1:{server.server_port}"), RateLimit(1e6), parallel=2
    )


WANTED = Wanted(units=16, active=6, seed=3)


def test_labels_are_made_judged_and_found_again(
    folder: Path, server: Reader, tiny_model: Path
) -> None:
    asking = chat(server, "whole")
    work = labelling(open_tomogram(folder), ChatLabeller(asking), Judge(asking), WANTED)
    cost = work.estimate()
    found = labels_of(work.run(tiny_model))
    assert len(found) == 16
    assert len(server.asked) <= cost.requests
    judged = [each for each in found if each.detection is not None]
    assert judged
    for each in judged:
        assert each.label
        assert each.detection.unread == 0
        assert each.detection.accuracy.low <= each.detection.accuracy.value
    # The server reads perfectly but knows one word a unit: better than chance, if not by much.
    accuracies = [each.detection.accuracy.value for each in judged]
    assert sum(accuracies) / len(accuracies) > 0.5
    assert max(accuracies) > 0.6
    best = best_labels(open_tomogram(folder))
    assert set(best) <= {(each.family, each.unit) for each in found}
    asked = len(server.asked)
    work.run(tiny_model)  # it stands: nothing is asked again
    assert len(server.asked) == asked
    listed = open_tomogram(folder).manifest.files
    assert {"labels_whole/labels.parquet", "labels_whole/stage.json"} <= set(listed)
    assert all(check.outcome is Outcome.REPRODUCED for check in verify_tomogram(folder))
    (folder / "labels_whole" / "labels.parquet").write_bytes(b"forged")
    assert verify_tomogram(folder)[1].outcome is Outcome.DIFFERS
    shutil.rmtree(folder / "labels_whole")


def test_an_interrupted_labelling_goes_on(folder: Path, server: Reader, tiny_model: Path) -> None:
    server.fails_after = 4
    tomogram = open_tomogram(folder)
    asking = chat(server, "broken")
    work = labelling(tomogram, ChatLabeller(asking), None, WANTED)
    with pytest.raises(TomogramError, match="401"):
        work.run()
    journal = folder / ".labels_broken.partial" / "checkpoints" / "answers.jsonl"
    done = journal.read_text(encoding="utf-8").splitlines()
    assert 1 <= len(done) <= 4
    with journal.open("a", encoding="utf-8") as out:
        out.write('{"family": "half a l')  # as a kill in the middle of a write leaves it
    server.fails_after = None
    server.asked.clear()
    found = labels_of(labelling(tomogram, ChatLabeller(asking), None, WANTED).run())
    assert len(found) == 16
    assert len(server.asked) == 16 - len(done)
    assert all(each.detection is None for each in found)


def test_the_command_tells_the_cost_first_and_stops_where_it_is_too_much(
    folder: Path,
    server: Reader,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OPENAI_API_KEY", "sekret")
    given = ["label", str(folder), "--with", "endpoint", "--endpoint-model", "cli", "--units", "2"]
    given += ["--per-minute", "100000", "--prompt-price", "3", "--reply-price", "9"]
    assert run([*given, "--most", "0.0000001", "--yes"], monkeypatch) == 2
    assert server.asked == []
    assert run([*given, "--yes", "--json"], monkeypatch) == 0
    out, err = capsys.readouterr()
    assert "requests" in err
    assert "sekret" not in out + err
    assert len(json.loads(out)) == 2


def test_the_command_without_a_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["label", str(folder), "--units", "0"], monkeypatch) == 0
    assert "stay unlabelled" in capsys.readouterr().out
    for bad in (
        ["--with", "oracle"],
        ["--judge", "oracle"],
        ["--units", "-1"],
        ["--with", "local"],
    ):
        assert run(["label", str(folder), *bad], monkeypatch) == 2


def test_the_command_that_searches(
    folder: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = ["search", str(folder), "--model", str(tiny_model)]
    assert run([*base, "the", "--json"], monkeypatch) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)
    assert run([*base, "--prompt", "what is 2 plus 3 ?"], monkeypatch) == 0
    assert "next token" in capsys.readouterr().out
    assert run([*base, "--example", "what is", "--example", "2 plus 3"], monkeypatch) == 0
    for bad in ([], ["the", "--prompt", "x"], ["--like", "nothing"], ["the", "--limit", "0"]):
        assert run([*base, *bad], monkeypatch) == 2


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The command's exit code."""
    monkeypatch.setattr("sys.argv", ["tomogram", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
