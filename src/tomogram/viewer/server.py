"""Server: the pages and their data on the loopback address.

Python's own server is enough: one person, small JSON, no upload, nothing to keep open. It adds
nothing to install, and a request that is not exactly one of the routes' or files' is refused.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tomogram.store.errors import TomogramError
from tomogram.viewer import bundle
from tomogram.viewer.guard import HEADERS, LOOKED_AT, refusal
from tomogram.viewer.routes import Refused, Routes, whole

PORT = 4747
"""Asked for first, so that addresses stay the same from day to day."""
_TRIES = 20
_MOST_BODY = 1 << 18
_TIMEOUT = 30.0


def serve(routes: Routes, port: int | None = None) -> ThreadingHTTPServer:
    """A server that listens on 127.0.0.1; the caller runs `serve_forever` and closes it.

    Args:
        routes: what is answered beside the page's own files.
        port: exactly this one, 0 for any that is free; `PORT` or the next free one when None.

    Raises:
        TomogramError: the port is taken.
    """
    handler = type("Handler", (_Handler,), {"routes": routes})
    tried = range(PORT, PORT + _TRIES) if port is None else [port]
    for number in tried:
        try:
            return ThreadingHTTPServer(("127.0.0.1", number), handler)
        except OSError:
            continue
    raise TomogramError(f"Port {tried[0]} of this machine is taken; choose another with --port.")


class _Handler(BaseHTTPRequestHandler):
    routes: Routes
    protocol_version = "HTTP/1.1"
    server_version = "tomogram"
    sys_version = ""
    timeout = _TIMEOUT

    def setup(self) -> None:
        super().setup()
        # Answers are small and waited for.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        # Who closes a page does not wait for its answer; that is no failure of the server.
        with suppress(ConnectionError):
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _get(self, path: str, query: str) -> tuple[bytes, str]:
        if path == "/":
            return bundle.index("server"), bundle.media_type("index.html")
        if path[1:] in bundle.ASSETS:
            return bundle.asset(path[1:]), bundle.media_type(path)
        asked = dict(parse_qsl(query, max_num_fields=20))
        return self._json(self.routes.answer("GET", path, asked))

    def _post(self, path: str, query: str) -> tuple[bytes, str]:
        if path not in self.routes.post:
            return self._json(self.routes.answer("POST", path, {}))  # which refuses it
        # A form of a foreign page cannot send this type without being asked for permission.
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON.")
        length = whole(self.headers.get("Content-Length", ""))
        if length > _MOST_BODY:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too long a text.")
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "That is no JSON.") from error
        if not isinstance(body, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "That is no JSON object.")
        return self._json(self.routes.answer("POST", path, body))

    def _json(self, value: Any) -> tuple[bytes, str]:
        return json.dumps(value, allow_nan=False).encode(), "application/json; charset=utf-8"

    def _answer(self, make: Callable[[str, str], tuple[bytes, str]]) -> None:
        status = HTTPStatus.OK
        try:
            asked = urlsplit(self.path)
            port = int(self.connection.getsockname()[1])
            why = refusal(asked.path, {name: self._only(name) for name in LOOKED_AT}, port)
            if why:
                self.close_connection = True
                raise Refused(HTTPStatus.FORBIDDEN, why)
            data, kind = make(asked.path, asked.query)
        except Refused as error:
            status = error.status
            data, kind = self._json({"error": str(error)})
        except TomogramError as error:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            data, kind = self._json({"error": str(error)})
        except ValueError:
            status = HTTPStatus.BAD_REQUEST
            data, kind = self._json({"error": "The request makes no sense."})
        except Exception:
            self.log_exception()
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            data, kind = self._json({"error": "The server failed; its terminal says how."})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _only(self, name: str) -> str | None:
        """A header's value; what is said twice is no value that anybody can trust."""
        found = self.headers.get_all(name, [])
        return ", ".join(found) if found else None

    def log_exception(self) -> None:
        """A bug keeps its traceback, on stderr."""
        import traceback

        traceback.print_exc()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: what a person looks at is theirs."""
