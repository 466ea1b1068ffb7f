"""Server: the pages and their data on the loopback address.

Python's own server is enough: one person, small JSON, no upload, nothing to keep open. It adds
nothing to install, and a request that is not exactly one of those below is refused.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tomogram.store.errors import TomogramError
from tomogram.viewer import bundle
from tomogram.viewer.catalogue import Wanted
from tomogram.viewer.content import Content
from tomogram.viewer.graphs import Graphs
from tomogram.viewer.guard import HEADERS, LOOKED_AT, refusal
from tomogram.viewer.live import Lazily
from tomogram.viewer.prompt import read_prompt
from tomogram.viewer.silence import silence
from tomogram.viewer.steer import steer

PORT = 4747
"""Asked for first, so that addresses stay the same from day to day."""
_TRIES = 20
_MOST_BODY = 1 << 18
_TIMEOUT = 30.0

Json = dict[str, Any]


class Refused(Exception):
    """A request that is not answered; the words go to the page."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


def serve(
    content: Content, live: Lazily, port: int | None = None, graphs: Graphs | None = None
) -> ThreadingHTTPServer:
    """A server that listens on 127.0.0.1; the caller runs `serve_forever` and closes it.

    Args:
        port: exactly this one, 0 for any that is free; `PORT` or the next free one when None.
        graphs: what the circuit page shows.

    Raises:
        TomogramError: the port is taken.
    """
    handler = type("Handler", (_Handler,), {"routes": _routes(content, live, graphs or Graphs())})
    tried = range(PORT, PORT + _TRIES) if port is None else [port]
    for number in tried:
        try:
            return ThreadingHTTPServer(("127.0.0.1", number), handler)
        except OSError:
            continue
    raise TomogramError(f"Port {tried[0]} of this machine is taken; choose another with --port.")


Routes = tuple[dict[str, Callable[[Json], Any]], dict[str, Callable[[Json], Any]]]


def _routes(content: Content, live: Lazily, graphs: Graphs) -> Routes:
    """What can be asked for: by GET with a query, by POST with a JSON body."""

    def find(query: Json) -> Any:
        try:
            wanted = Wanted(
                words=query.get("words", "")[:400],
                family=query.get("family", ""),
                kind=query.get("kind", ""),
                state=query.get("state", ""),
                sort=query.get("sort", "score"),
                descending=query.get("descending", "1") == "1",
                offset=_whole(query.get("offset", "0")),
                limit=_whole(query.get("limit", "100")),
            )
        except TomogramError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        return content.catalogue.rows(wanted)

    def feature(query: Json) -> Any:
        try:
            return content.feature(query.get("family", ""), _whole(query.get("unit", "")))
        except TomogramError as error:
            missing = str(error).startswith("There is no unit")
            status = HTTPStatus.NOT_FOUND if missing else HTTPStatus.INTERNAL_SERVER_ERROR
            raise Refused(status, str(error)) from error

    def glance(query: Json) -> Any:
        key = (query.get("family", ""), _whole(query.get("unit", "")))
        found = content.catalogue.glances([key])
        if key not in found:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such unit.")
        return found[key]

    def graph(read: Callable[[str], Any]) -> Callable[[Json], Any]:
        def answer(query: Json) -> Any:
            try:
                return read(query.get("name", ""))
            except TomogramError as error:
                raise Refused(HTTPStatus.NOT_FOUND, str(error)) from error

        return answer

    def prompt(body: Json) -> Any:
        found = live.use(lambda model: read_prompt(model, _text(body, "text")))
        keys = {(n, f[0]) for n, tokens in found["families"].items() for t in tokens for f in t}
        glances = content.catalogue.glances(sorted(keys))
        found["labels"] = {f"{n}/{u}": row["label"] for (n, u), row in glances.items()}
        return found

    def silenced(body: Json) -> Any:
        found = graphs.graph(_text(body, "graph"))
        factor = _number(body, "factor")
        return live.use(lambda model: silence(model, found, _numbers(body, "nodes"), factor))

    def turned(body: Json) -> Any:
        family, unit = _text(body, "family"), int(_number(body, "unit"))
        row = content.catalogue.unit(family, unit)
        return live.use(
            lambda model: steer(
                model,
                _text(body, "prompt"),
                family,
                unit,
                strength=_number(body, "strength"),
                largest=float(row["largest"]),
                new_tokens=int(_number(body, "tokens")),
                temperature=_number(body, "temperature"),
                seed=int(_number(body, "seed")),
            )
        )

    return (
        {
            "/api/about": lambda query: content.about(live=""),
            "/api/vocabulary": lambda query: content.vocabulary(),
            "/api/features": find,
            "/api/feature": feature,
            "/api/glance": glance,
            "/api/map": lambda query: content.map(),
            "/api/graphs": lambda query: graphs.listing(),
            "/api/graph": graph(graphs.one),
            "/api/graph-file": graph(graphs.file),
        },
        {"/api/prompt": prompt, "/api/silence": silenced, "/api/steer": turned},
    )


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
        return self._json(self._route(0, path)(dict(parse_qsl(query, max_num_fields=20))))

    def _post(self, path: str, query: str) -> tuple[bytes, str]:
        route = self._route(1, path)
        # A form of a foreign page cannot send this type without being asked for permission.
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON.")
        length = _whole(self.headers.get("Content-Length", ""))
        if length > _MOST_BODY:
            self.close_connection = True
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too long a text.")
        try:
            body = json.loads(self.rfile.read(length))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "That is no JSON.") from error
        if not isinstance(body, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "That is no JSON object.")
        return self._json(route(body))

    def _route(self, method: int, path: str) -> Callable[[Json], Any]:
        if path in self.routes[method]:
            return self.routes[method][path]
        known = path in self.routes[1 - method]
        status = HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND
        raise Refused(status, "There is no such page.")

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


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 12):
        raise Refused(HTTPStatus.BAD_REQUEST, "A number is expected.")
    return int(text)


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise Refused(HTTPStatus.BAD_REQUEST, f"'{name}' must be a text.")
    return value


def _number(body: Json, name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(HTTPStatus.BAD_REQUEST, f"'{name}' must be a number.")
    return value


def _numbers(body: Json, name: str) -> list[int]:
    value = body.get(name)
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise Refused(HTTPStatus.BAD_REQUEST, f"'{name}' must be a list of whole numbers.")
    return value
