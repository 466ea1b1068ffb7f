"""Live: searches, and the scanned model at work, for the pages that need them.

Indices and the model are loaded when a page first asks; each serves one request at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from tomogram.pipeline.searching import Ranking, Search
from tomogram.store.errors import TomogramError

T = TypeVar("T")

MOST_FOUND = 10_000
"""Units that a search by words gives; all of them stand in the list."""
MOST_ALIKE = 200
"""Units that the other searches give: they rank every unit, and the end of that means nothing."""
_INDEXED = ("words", "promotes", "suppresses")


class Live:
    """What answers questions that a table alone cannot."""

    def __init__(self, search: Search) -> None:
        self._search = search
        # A search by words must not wait for a model that writes.
        self._index, self._model = Lock(), Lock()

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways in which the list can be searched."""
        meaning = () if self._search.encoder_source is None else ("meaning",)
        return (*_INDEXED, *meaning, "examples")

    def find(self, way: str, query: str) -> Ranking:
        """Units found in one of the `ways`, best first; the examples are the query's lines.

        Raises:
            TomogramError: there is no such way; the query makes no sense; an index or the model
                cannot be had.
        """
        search = self._search
        match way:
            case "words":
                with self._index:
                    return search.rank_words(query, MOST_FOUND)
            case "promotes" | "suppresses":
                suppressing = way == "suppresses"
                return search.rank_promoting(query, MOST_FOUND, suppressing=suppressing)
            case "meaning":
                with self._index:
                    return search.rank_meanings(query, MOST_ALIKE)
            case "examples":
                sentences = [line for line in query.splitlines() if line.strip()]
                with self._model:
                    found = search.rank_examples(sentences, MOST_ALIKE)
                # Below 0 chance explains the sentences better than the unit does.
                return [(unit, score) for unit, score in found if score > 0]
        raise TomogramError("The list cannot be searched like that.")

    def use(self, work: Callable[[Search], T]) -> T:
        """What `work` makes of the model, while nobody else uses it.

        Raises:
            TomogramError: the model cannot be had, or is not the scanned one; and what work raises.
        """
        with self._model:
            return work(self._search)
