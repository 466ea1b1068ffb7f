"""Routes: what a page can ask for, and what it is answered, whoever carries the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import isfinite
from typing import Any

from tomogram.store.errors import TomogramError
from tomogram.viewer.catalogue import Wanted
from tomogram.viewer.content import Content
from tomogram.viewer.graphs import Graphs
from tomogram.viewer.live import Live
from tomogram.viewer.prompt import read_text
from tomogram.viewer.silence import silence
from tomogram.viewer.steer import Turn, steer

Json = dict[str, Any]
_LONGEST_QUERY = 4_000


class Refused(Exception):
    """A question that is not answered; the words go to the page."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Routes:
    """Questions by their paths: those asked with a query of strings, those with a JSON body."""

    get: Mapping[str, Callable[[Json], Any]]
    post: Mapping[str, Callable[[Json], Any]]

    def answer(self, method: str, path: str, question: Json) -> Any:
        """The JSON value of an answer.

        Raises:
            Refused: there is no such question, it makes no sense, or it cannot be answered.
        """
        own, other = (self.get, self.post) if method == "GET" else (self.post, self.get)
        if path not in own:
            known = path in other
            status = HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND
            raise Refused(status, "There is no such page.")
        try:
            return own[path](question)
        except TomogramError as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def routes(content: Content, live: Live, graphs: Graphs | None = None) -> Routes:
    """Everything that can be asked about one scan, and about graphs for the circuit page."""
    drawn = graphs or Graphs()

    def listing(query: Json) -> Any:
        try:
            wanted = Wanted(
                family=query.get("family", ""),
                kind=query.get("kind", ""),
                state=query.get("state", ""),
                sort=query.get("sort", "best"),
                descending=query.get("descending", "1") == "1",
                offset=whole(query.get("offset", "0")),
                limit=whole(query.get("limit", "100")),
            )
        except TomogramError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
        words = query.get("words", "").strip()[:_LONGEST_QUERY]
        if not words:
            return {**content.catalogue.rows(wanted), "note": ""}
        way = query.get("way", "words")
        if way not in live.ways:
            raise Refused(HTTPStatus.BAD_REQUEST, "The list cannot be searched like that.")
        try:
            found = live.find(way, words)
        except TomogramError as error:
            # Half a word is no mistake: the page says quietly why it shows nothing.
            return {"total": 0, "rows": [], "note": str(error)}
        return {**content.catalogue.rows(wanted, found), "note": ""}

    def feature(query: Json) -> Any:
        try:
            return content.feature(query.get("family", ""), whole(query.get("unit", "")))
        except TomogramError as error:
            missing = str(error).startswith("There is no unit")
            status = HTTPStatus.NOT_FOUND if missing else HTTPStatus.INTERNAL_SERVER_ERROR
            raise Refused(status, str(error)) from error

    def glance(query: Json) -> Any:
        key = (query.get("family", ""), whole(query.get("unit", "")))
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

    def silenced(body: Json) -> Any:
        found = drawn.graph(_text(body, "graph"))
        nodes, factor = _numbers(body, "nodes"), _number(body, "factor")
        return live.use(
            lambda search: silence(search.model, found, nodes, factor, lambda: search.dictionaries)
        )

    def prompt(body: Json) -> Any:
        text = _text(body, "text")
        target = None if body.get("target") is None else int(_number(body, "target"))
        found = live.use(lambda search: read_text(search, text, target))
        keys = {(n, f[0]) for n, tokens in found["families"].items() for t in tokens for f in t}
        glances = content.catalogue.glances(sorted(keys))
        found["labels"] = {f"{n}/{u}": row["label"] for (n, u), row in glances.items()}
        return found

    def turned(body: Json) -> Any:
        turns = body.get("turns")
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            raise Refused(HTTPStatus.BAD_REQUEST, "'turns' must be a list of features.")
        wanted = [
            Turn(_text(turn, "family"), int(_number(turn, "unit")), _number(turn, "strength"))
            for turn in turns
        ]
        return live.use(
            lambda search: steer(
                search,
                _text(body, "prompt"),
                wanted,
                new_tokens=int(_number(body, "tokens")),
                temperature=_number(body, "temperature"),
                seed=int(_number(body, "seed")),
            )
        )

    return Routes(
        {
            "/api/about": lambda query: content.about(live="", ways=live.ways),
            "/api/findings": lambda query: content.findings(),
            "/api/vocabulary": lambda query: content.vocabulary(),
            "/api/features": listing,
            "/api/feature": feature,
            "/api/glance": glance,
            "/api/map": lambda query: content.map(),
            "/api/graphs": lambda query: drawn.listing(),
            "/api/graph": graph(drawn.one),
            "/api/graph-file": graph(drawn.file),
        },
        {"/api/prompt": prompt, "/api/silence": silenced, "/api/steer": turned},
    )


def whole(text: str) -> int:
    """A whole number from 0 on, as it stands in a query.

    Raises:
        Refused: it is none.
    """
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
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise Refused(HTTPStatus.BAD_REQUEST, f"'{name}' must be a number.")
    return value


def _numbers(body: Json, name: str) -> list[int]:
    value = body.get(name)
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise Refused(HTTPStatus.BAD_REQUEST, f"'{name}' must be a list of whole numbers.")
    return value
