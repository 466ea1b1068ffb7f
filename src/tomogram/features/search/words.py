"""Search by words: full text over labels, the words a unit fires on, their context, and what it
promotes.

The index is SQLite's FTS5, which is part of Python; DuckDB's full-text extension is fetched from
the network when it is first used, so it cannot be had offline. The index holds no text, only which
word stands in which column of which unit. Hits are ranked by BM25 (Robertson and Zaragoza 2009)
with a weight for each column. Words are stemmed there, so beginnings of words are completed from a
list of whole words that stands beside it.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tomogram.store.errors import TomogramError

FORMAT = 2
WEIGHTS = {"label": 8.0, "fires": 6.0, "promoted": 2.0, "context": 1.0}
"""The columns, and how much a word counts in each."""
LONGEST = 2_000
"""Characters of a column that are looked at; a token may be megabytes long."""
_WORD = re.compile(r"\w+")
_TERM = re.compile(r"\w+\*?")
_MOST_WORDS = 32
_COMPLETIONS = 24
"""Words that a beginning of a word stands for, those of most units."""


@dataclass(frozen=True)
class Entry:
    """What can be found of one unit."""

    number: int
    label: str
    fires: str
    """The words it fires on in its exemplars."""
    context: str
    """The words around them."""
    promoted: str


def build(entries: Iterable[Entry], path: Path) -> None:
    """Write the index of some units to a new file."""
    database = sqlite3.connect(path)
    try:
        # Determined by the entries alone, and nobody reads before it is whole.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA user_version = {FORMAT}")
        # Positions are kept although no query asks for them: without them SQLite cannot count
        # words where no text is stored, and every BM25 score is 0.
        database.execute(
            f"CREATE VIRTUAL TABLE units USING fts5({', '.join(WEIGHTS)}, content='',"
            " tokenize='porter unicode61')"
        )
        database.execute("CREATE TABLE words(word TEXT PRIMARY KEY, units INTEGER) WITHOUT ROWID")
        counts: Counter[str] = Counter()
        database.executemany(
            f"INSERT INTO units(rowid, {', '.join(WEIGHTS)}) VALUES (?, ?, ?, ?, ?)",
            _rows(entries, counts),
        )
        database.executemany("INSERT INTO words VALUES (?, ?)", sorted(counts.items()))
        database.execute("INSERT INTO units(units) VALUES ('optimize')")
        database.commit()
        database.execute("VACUUM")
    finally:
        database.close()


def _rows(entries: Iterable[Entry], counts: Counter[str]) -> Iterator[tuple[int | str, ...]]:
    """The rows of the index; on the way `counts` learns in how many units each word stands."""
    for entry in entries:
        columns = {
            name: getattr(entry, name).replace("\0", " ")[:LONGEST].lower() for name in WEIGHTS
        }
        # The words around are nearly all words that some other unit fires on.
        told = (word for name in WEIGHTS if name != "context" for word in _words(columns[name]))
        counts.update(set(told))
        yield entry.number, *columns.values()


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


class WordIndex:
    """Read access to an index of words.

    Raises TomogramError where the file is missing, damaged, or newer than this version reads.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise TomogramError(f"There is no index of words at {path}.")
        self._path = path
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            self._database = sqlite3.connect(uri, uri=True, check_same_thread=False)
            (stated,) = self._database.execute("PRAGMA user_version").fetchone()
            self._database.execute("SELECT count(*) FROM units WHERE units MATCH 'a'").fetchone()
        except sqlite3.DatabaseError as error:
            raise TomogramError(f"{path} is no index of words, or is damaged.") from error
        if stated != FORMAT:
            raise TomogramError(f"{path} has the format {stated}; this version reads {FORMAT}.")

    def find(self, query: str, *, limit: int) -> list[tuple[int, float]]:
        """Units in which any word of a query stands, best first, with their BM25 scores.

        A query is plain words, and `cap*` stands for the words that begin so; nothing else in it
        is an operator.

        Raises TomogramError where it holds no word, or the index is damaged.
        """
        terms = list(dict.fromkeys(_TERM.findall(query.lower())))[:_MOST_WORDS]
        if not terms:
            raise TomogramError("The search holds no word.")
        weights = ", ".join(map(str, WEIGHTS.values()))
        try:
            words = dict.fromkeys(word for term in terms for word in self._meant(term))
            match = " OR ".join(f'"{word}"' for word in words)
            rows = self._database.execute(
                f"SELECT rowid, bm25(units, {weights}) AS cost FROM units WHERE units MATCH ?"
                " ORDER BY cost, rowid LIMIT ?",
                (match, limit),
            ).fetchall()
        except sqlite3.DatabaseError as error:
            raise TomogramError(f"{self._path} is damaged.") from error
        return [(int(number), -float(cost)) for number, cost in rows]

    def _meant(self, term: str) -> list[str]:
        """The words that a term stands for: itself, and how its beginning may go on."""
        word = term.rstrip("*")
        if word == term:
            return [word]
        rows = self._database.execute(
            "SELECT word FROM words WHERE word >= ? AND word < ?"
            f" ORDER BY units DESC, word LIMIT {_COMPLETIONS}",
            (word, f"{word}\U0010ffff"),
        )
        return [word, *(found for (found,) in rows)]
