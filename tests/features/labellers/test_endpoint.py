"""The endpoint's client against a real HTTP server on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tomogram.features.labellers.endpoint import (
    Address,
    EndpointChat,
    RateLimit,
    from_environment,
)
from tomogram.store.errors import TomogramError

Answer = tuple[int, dict[str, str], bytes]
ASKED = [{"role": "user", "content": "what?"}]


def reply(text: str) -> Answer:
    body = {
        "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    }
    return 200, {}, json.dumps(body).encode()


class Server:
    """Answers each request as it is told, and remembers what it was asked."""

    def __init__(self, answers: Callable[[int], Answer]) -> None:
        self.seen: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = len(outer.seen)
                outer.seen.append(
                    {"path": self.path, "headers": dict(self.headers), "body": json.loads(body)}
                )
                status, headers, data = answers(number)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serving() -> Iterator[Callable[[Callable[[int], Answer]], Server]]:
    servers: list[Server] = []

    def start(answers: Callable[[int], Answer]) -> Server:
        servers.append(Server(answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def chat(server: Server, waits: list[float] | None = None, **options: Any) -> EndpointChat:
    pauses: list[float] = [] if waits is None else waits
    return EndpointChat(
        "some/model", Address(server.url, "sekret"), RateLimit(1e6), sleep=pauses.append, **options
    )


def test_a_question_is_asked_as_the_protocol_says(serving) -> None:
    server = serving(lambda i: reply("a dog"))
    asking = chat(server)
    assert asking.ask(ASKED, 40) == "a dog"
    (seen,) = server.seen
    assert seen["path"] == "/v1/chat/completions"
    assert seen["headers"]["Authorization"] == "Bearer sekret"
    assert seen["body"] == {
        "model": "some/model",
        "messages": ASKED,
        "max_tokens": 40,
        "temperature": 0,
    }
    used = asking.usage
    assert (used.requests, used.retries, used.prompt_tokens, used.reply_tokens) == (1, 0, 7, 2)


def test_what_may_pass_is_tried_again(serving) -> None:
    answers = [(429, {"Retry-After": "3"}, b""), (503, {}, b""), (200, {}, b"{cut off")]
    server = serving(lambda i: answers[i] if i < 3 else reply("at last"))
    waits: list[float] = []
    asking = chat(server, waits)
    assert asking.ask(ASKED, 4) == "at last"
    assert len(server.seen) == 4
    assert waits[0] == 3.0
    assert 1 <= waits[1] <= 3
    assert 2 <= waits[2] <= 6
    assert asking.usage.retries == 3


def test_it_gives_up_in_the_end_and_at_once_where_it_is_refused(serving) -> None:
    failing = serving(lambda i: (500, {}, b""))
    with pytest.raises(TomogramError, match="3 attempts: it answers 500"):
        chat(failing, attempts=3).ask(ASKED, 4)
    assert len(failing.seen) == 3
    refusing = serving(lambda i: (401, {}, b"sekret"))
    with pytest.raises(TomogramError, match="refuses: 401") as error:
        chat(refusing).ask(ASKED, 4)
    assert len(refusing.seen) == 1
    assert "sekret" not in str(error.value)


def test_the_key_follows_no_redirect(serving) -> None:
    other = serving(lambda i: reply("stolen"))
    server = serving(lambda i: (307, {"Location": f"{other.url}/chat/completions"}, b""))
    with pytest.raises(TomogramError, match="refuses: 307"):
        chat(server).ask(ASKED, 4)
    assert other.seen == []


def test_answers_of_another_shape_are_no_replies(serving) -> None:
    shapes = [b"[]", b'{"choices": []}', b'"x"', b"\xff", b" " * (2**20 + 2)]
    server = serving(lambda i: (200, {}, shapes[i]))
    with pytest.raises(TomogramError, match="5 attempts"):
        chat(server, attempts=5).ask(ASKED, 4)
    odd = serving(lambda i: (200, {}, b'{"choices": [{"message": {"content": null}}], "usage": 3}'))
    assert chat(odd).ask(ASKED, 4) == ""


def test_a_server_that_is_not_there_is_said_so() -> None:
    asking = EndpointChat(
        "m", Address("http://127.0.0.1:9/v1"), RateLimit(1e6), attempts=2, sleep=lambda s: None
    )
    with pytest.raises(TomogramError, match="2 attempts"):
        asking.ask(ASKED, 4)


def test_the_rate_is_kept_by_all_threads() -> None:
    now = [0.0]
    waits: list[float] = []
    limit = RateLimit(60, clock=lambda: now[0], sleep=waits.append)
    for _ in range(4):
        limit.wait()
    assert waits == [1.0, 2.0, 3.0]  # the clock stood still: each waits behind the one before
    now[0] = 10.0
    limit.wait()
    assert len(waits) == 3
    with pytest.raises(ValueError, match="above zero"):
        RateLimit(0)


def test_the_environment_names_the_address() -> None:
    given = {"OPENAI_BASE_URL": "https://there.example/v1/", "OPENAI_API_KEY": "k"}
    address = from_environment(given)
    assert address.base_url == "https://there.example/v1"
    assert "k" not in repr(address).replace("key", "").split("base_url")[0]
    assert "'k'" not in repr(address)
    for bad, sentence in (
        ({}, "Set OPENAI_BASE_URL"),
        ({"OPENAI_BASE_URL": "file:///etc/passwd"}, "no address"),
        ({"OPENAI_BASE_URL": "http://there.example", "OPENAI_API_KEY": "k"}, "not encrypted"),
    ):
        with pytest.raises(TomogramError, match=sentence):
            from_environment(bad)
    assert from_environment({"OPENAI_BASE_URL": "http://localhost:1", "OPENAI_API_KEY": "k"})
