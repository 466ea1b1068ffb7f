"""The server from outside: what it answers, and to whom."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.viewer.conftest import serving
from tomogram.pipeline.searching import open_search
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import Content
from tomogram.viewer.guard import HEADERS
from tomogram.viewer.live import Live
from tomogram.viewer.routes import routes
from tomogram.viewer.server import serve


def ask(
    port: int, path: str, body: Any = None, *, method: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these headers; underscores in their names become hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given.setdefault("Content-Type", "application/json")
    skip = "Host" in given
    connection.putrequest(method or ("GET" if data is None else "POST"), path, skip_host=skip)
    for name, value in given.items():
        connection.putheader(name, value)
    if data is not None:
        connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_the_page_and_its_files_are_answered_with_every_guard(port: int) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/app.js", "text/javascript"),
        ("/app.css", "text/css"),
        ("/report.css", "text/css"),
        ("/api/about", "application/json"),
    ):
        status, headers, data = ask(port, path)
        assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
        assert data
        assert HEADERS.items() <= headers.items()


def test_who_leaves_before_the_answer_is_no_failure(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    request = f"GET /app.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    for _ in range(12):
        left = socket.create_connection(("127.0.0.1", port))
        # Closing then resets the connection instead of saying goodbye.
        left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        left.sendall(request)
        left.close()
    assert ask(port, "/")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_refusal_has_every_guard_too(port: int) -> None:
    status, headers, data = ask(port, "/", Host="evil.example")
    assert status == 403
    assert HEADERS.items() <= headers.items()
    assert b"tiny" not in data


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
    ],
)
def test_foreign_requests_for_data_are_refused(port: int, headers: dict[str, str]) -> None:
    given = {name: value.format(port=port) for name, value in headers.items()}
    for path, body in (("/api/about", None), ("/api/prompt", {"text": "the"})):
        status, _, data = ask(port, path, body, **given)
        assert status == 403
        assert "error" in json.loads(data)


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/..%2f..%2fetc/passwd", "//etc/passwd",
     "/tomogram.json", "/report.html", "/app.js/../../live.py", "/built/app.js", "/api/../live.py",
     "/api/nothing", "/favicon.ico", "http://evil.example/etc/passwd"],
)  # fmt: skip
def test_only_what_is_named_is_answered(port: int, path: str) -> None:
    status, _, data = ask(port, path)
    assert status in (403, 404)
    assert "error" in json.loads(data)


def test_methods_and_types_that_are_not_ours_are_refused(port: int) -> None:
    assert ask(port, "/api/prompt")[0] == 405
    assert ask(port, "/api/about", {})[0] == 405
    assert ask(port, "/api/prompt", {"text": "x"}, Content_Type="text/plain")[0] == 415
    assert ask(port, "/api/prompt", b"{")[0] == 400
    assert ask(port, "/api/prompt", b"[" * 100_000)[0] == 400
    assert ask(port, "/api/prompt", [])[0] == 400
    assert ask(port, "/api/prompt", {"text": 3})[0] == 400
    assert ask(port, "/api/prompt", {"text": "x" * 300_000})[0] == 413
    assert ask(port, "/", method="DELETE")[0] == 501


def test_the_list_and_a_unit_come_over_the_wire(port: int, content: Content) -> None:
    status, _, data = ask(port, "/api/features?kind=latent&limit=5&sort=rate&descending=0")
    found = json.loads(data)
    assert status == 200
    assert found["total"] == 32
    assert len(found["rows"]) == 5
    status, _, data = ask(port, "/api/feature?family=resid_post.1&unit=3")
    assert json.loads(data) == json.loads(json.dumps(content.feature("resid_post.1", 3)))
    assert json.loads(ask(port, "/api/glance?family=resid_post.1&unit=3")[2])["unit"] == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/feature?family=resid_post.1&unit=99", 404),
        ("/api/feature?family=nothing&unit=0", 404),
        ("/api/feature?family=resid_post.1&unit=-1", 400),
        ("/api/feature?family=resid_post.1&unit=9999999999999999999", 400),
        ("/api/feature?family=resid_post.1", 400),
        ("/api/feature?" + "a=1&" * 50, 400),
        ("/api/features?limit=100000", 400),
        ("/api/features?sort=label_f1;DROP", 400),
        ("/api/glance?family=x&unit=1", 404),
    ],
)
def test_questions_that_make_no_sense_get_one_sentence(port: int, path: str, status: int) -> None:
    got, _, data = ask(port, path)
    assert got == status
    assert json.loads(data)["error"].endswith(".")


def test_a_prompt_is_read(port: int) -> None:
    text = "the capital of Texas is"
    status, _, data = ask(port, "/api/prompt", {"text": text})
    found = json.loads(data)
    assert status == 200
    n = len(found["tokens"])
    assert set(found["families"]) == {"resid_post.0", "resid_post.1"}
    assert all(len(tokens) == n for tokens in found["families"].values())
    assert len(found["lens"]) == 3
    assert len(found["attention"]) == 2
    assert found["target"][0] == found["next"][0][0]
    fired = [each for tokens in found["families"].values() for own in tokens for each in own]
    measured = [each for each in fired if each[3] is not None]
    assert 0 < len(measured) < len(fired)
    other = found["next"][1][0]
    asked = json.loads(ask(port, "/api/prompt", {"text": text, "target": other})[2])
    assert asked["target"] == found["next"][1]
    assert asked["next"] == found["next"]
    for heads in found["attention"]:
        for head in heads:
            assert [len(row) for row in head] == list(range(1, n + 1))
            assert all(abs(sum(row) - 255) <= n for row in head)


def test_steering_by_nothing_changes_nothing_and_by_much_does(port: int) -> None:
    def turned(*strengths: float) -> dict[str, Any]:
        turns = [{"family": f"resid_post.{i}", "unit": 3, "strength": s}
                 for i, s in enumerate(strengths)]  # fmt: skip
        order = {"prompt": "the capital of Texas is", "turns": turns, "tokens": 12,
                 "temperature": 0, "seed": 0}  # fmt: skip
        return json.loads(ask(port, "/api/steer", order)[2])

    still = turned(0, 0)
    assert still["baseline"] == still["steered"]
    assert still["fluency"]["baseline"] == still["fluency"]["steered"]
    moved = [turned(20, 0), turned(0, 20), turned(20, 20)]
    assert all(each["baseline"] == still["baseline"] for each in moved)
    assert all(each["steered"] != still["baseline"] for each in moved)
    assert turned(20)["steered"] == moved[0]["steered"]
    for each in moved:
        assert each["fluency"]["baseline"] == still["fluency"]["baseline"]
        # To the model as it is, its own likeliest tokens are no less likely than others.
        assert each["fluency"]["steered"]["loss"] > each["fluency"]["baseline"]["loss"]
        assert 0 < each["fluency"]["steered"]["distinct"] <= 1


@pytest.mark.parametrize(
    "change",
    [{"strength": 1e9}, {"strength": True}, {"strength": float("nan")}, {"unit": 99},
     {"family": "neurons.0"}, {"tokens": 9999}, {"prompt": ""}, {"prompt": "the " * 5000},
     {"temperature": -1}, {"family": None}, {"turns": []}, {"turns": [{}] * 9}, {"turns": {}},
     {"turns": ["resid_post.1/3"]}],
)  # fmt: skip
def test_orders_out_of_range_are_refused(port: int, change: dict) -> None:
    turn = {"family": "resid_post.1", "unit": 3, "strength": 1}
    order = {"prompt": "the", "turns": [turn], "tokens": 4, "temperature": 0, "seed": 0}
    turn.update({name: change.pop(name) for name in turn.keys() & change.keys()})
    status, _, data = ask(port, "/api/steer", {**order, **change})
    assert 400 <= status < 500
    assert json.loads(data)["error"].endswith(".")


def listed(port: int, **query: str) -> dict[str, Any]:
    """A page of the list that is asked for by words."""
    status, _, data = ask(port, f"/api/features?{urlencode(query)}")
    assert status == 200
    return json.loads(data)


def test_the_list_is_searched_as_the_command_searches(port: int, content: Content) -> None:
    word = content.tomogram.spelling[5].strip()
    hits = [(hit.family, hit.unit) for hit in content.search.by_words(word, limit=40)]
    rows = listed(port, words=word)["rows"]
    assert [(row["family"], row["unit"]) for row in rows] == hits
    assert ("resid_post.0", 5) in [
        (row["family"], row["unit"]) for row in listed(port, words=f"{word[:-1]}*")["rows"]
    ]


def test_the_list_is_searched_by_tokens_and_by_examples(port: int, content: Content) -> None:
    # Every unit of the example promotes and suppresses tokens 0 to 4.
    token = content.tomogram.spelling[4]
    for way in ("promotes", "suppresses"):
        found = listed(port, words=token, way=way)
        assert found["total"] > 0
        assert {row["kind"] for row in found["rows"]} == {"latent"}
        assert "No single token" in listed(port, words="nosuchtoken", way=way)["note"]
    text = "the capital of Texas is"
    alike = listed(port, words=f"{text}\n{text} Austin\n", way="examples")
    hits = content.search.by_examples([text, f"{text} Austin"], limit=200)
    assert [(row["family"], row["unit"]) for row in alike["rows"]] == [
        (hit.family, hit.unit) for hit in hits if hit.score > 0
    ]


@pytest.mark.parametrize(
    "words", ["%", "_ - ?", "'; DROP TABLE listing; --", "\x00", "\u202e", "*"]
)
def test_words_are_only_words(port: int, words: str) -> None:
    found = listed(port, words=words)
    assert found["total"] == 0
    assert listed(port)["total"] == 40


def test_a_search_that_is_not_offered_is_refused(port: int) -> None:
    for way in ("meaning", "sql"):
        status, _, data = ask(port, f"/api/features?words=the&way={way}")
        assert status == 400
        assert json.loads(data)["error"].endswith(".")


def test_without_the_model_the_page_is_told_what_to_do(scan: Path) -> None:
    with serving(Content(open_search(scan))) as port:
        status, _, data = ask(port, "/api/prompt", {"text": "the"})
    assert status == 422
    assert "--model" in json.loads(data)["error"]


def test_another_model_is_refused(scan: Path, tmp_path: Path) -> None:
    import torch

    from tests.viewer.folder import TINY
    from tomogram.reference.train import save, untrained

    module = untrained(TINY)
    with torch.no_grad():
        next(module.parameters()).add_(1e-3)
    save(module, TINY, tmp_path / "other", torch.float32)
    with serving(Content(open_search(scan, tmp_path / "other"))) as port:
        status, _, data = ask(port, "/api/prompt", {"text": "the"})
    assert status == 422
    assert "not the model of this tomogram" in json.loads(data)["error"]


def test_a_taken_port_is_said_in_one_sentence(content: Content, port: int) -> None:
    with pytest.raises(TomogramError, match="taken"):
        serve(routes(content, Live(content.search)), port)
