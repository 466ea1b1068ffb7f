"""Search by words: full text over labels, the words a unit fires on, their context, and what it
promotes.

Hits are ranked by BM25 (Robertson and Zaragoza 2009) with a weight for each column, as SQLite's
FTS5 counts it: the weights enter the frequency of a word, the lengths of all columns are one. What
a word gives a unit does not depend on the rest of a query, so it is worked out when the index is
made (Anh and Moffat 2006, "Pruned query evaluation using pre-computed impacts"), and a search adds
up a few lists. FTS5 by itself looks up the length of each unit it finds, and took a fifth of a
second where a word stands in half of 100,000 units; here it only says how words are cut and
stemmed. DuckDB's full-text extension is fetched from the network when it is first used, so it
cannot be had offline.

The index is one SQLite file and holds no text, only which stem stands in which unit. Beginnings of
words are completed from a list of whole words that stands beside it.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.store.errors import TomogramError

FORMAT = 3
WEIGHTS = {"label": 8.0, "fires": 6.0, "promoted": 2.0, "context": 1.0}
"""The columns, and how much a word counts in each."""
LONGEST = 2_000
"""Characters of a column that are looked at; a token may be megabytes long."""
K1, B = 1.2, 0.75
"""Of BM25: how soon more of a word counts no more, and how much a long unit is held back."""
_RAREST = 1e-6
"""A word that stands in more than half of all units would count against them."""
_WORD = re.compile(r"\w+")
_TERM = re.compile(r"\w+\*?")
_MOST_WORDS = 32
_COMPLETIONS = 24
"""Words that a beginning of a word stands for, those of most units."""
_AT_ONCE = 2_048
"""Units whose words are stemmed together."""


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
    numbers, counted, lengths, stems, words = _counted(entries)
    order = np.argsort(stems)
    told = _impacts(counted[:, order], lengths)
    database = sqlite3.connect(path)
    try:
        # Determined by the entries alone, and nobody reads before it is whole.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA user_version = {FORMAT}")
        database.execute("CREATE TABLE stems(stem TEXT PRIMARY KEY, units BLOB, impacts BLOB)")
        database.execute("CREATE TABLE words(word TEXT PRIMARY KEY, units INTEGER) WITHOUT ROWID")
        bounds = told.indptr.tolist()
        places = numbers[told.indices].astype("<u4")
        impacts = told.data.astype("<f2")
        database.executemany(
            "INSERT INTO stems VALUES (?, ?, ?)",
            (
                (stems[term], places[start:end].tobytes(), impacts[start:end].tobytes())
                for term, start, end in zip(order.tolist(), bounds, bounds[1:], strict=False)
            ),
        )
        database.executemany("INSERT INTO words VALUES (?, ?)", sorted(words.items()))
        database.commit()
        database.execute("VACUUM")
    finally:
        database.close()


def _counted(
    entries: Iterable[Entry],
) -> tuple[
    Int[np.ndarray, " units"],
    sparse.csc_array,
    Float[np.ndarray, " units"],
    list[str],
    Counter[str],
]:
    """Numbers of the units; how often each stem stands in each, weighed, [units stems]; how many
    stems each has in all; the stems; and in how many units each word stands."""
    known: dict[str, tuple[int, ...]] = {}
    """By word its stems, by their place in the list."""
    place: dict[str, int] = {}
    numbers: list[int] = []
    lengths: list[int] = []
    counts: Counter[str] = Counter()
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    stemmer = _Stemmer()
    entries = iter(entries)
    while some := [(entry.number, _columns(entry)) for entry in islice(entries, _AT_ONCE)]:
        new = {word for _, found in some for words in found.values() for word in words} - set(known)
        for word, stems in stemmer.stems(sorted(new)).items():
            known[word] = tuple(place.setdefault(stem, len(place)) for stem in stems)
        for number, found in some:
            weighed: dict[int, float] = {}
            length = 0
            for column, words in found.items():
                for word in words:
                    for stem in known[word]:
                        weighed[stem] = weighed.get(stem, 0.0) + WEIGHTS[column]
                        length += 1
            # The words around are nearly all words that some other unit fires on.
            counts.update({word for name in WEIGHTS if name != "context" for word in found[name]})
            rows.append(np.full(len(weighed), len(numbers), np.int32))
            columns.append(np.fromiter(weighed, np.int32, len(weighed)))
            weights.append(np.fromiter(weighed.values(), np.float32, len(weighed)))
            numbers.append(number)
            lengths.append(length)
    joined = [np.concatenate(parts) if parts else np.zeros(0) for parts in (weights, rows, columns)]
    shape = (len(numbers), len(place))
    counted = sparse.csc_array((joined[0], (joined[1], joined[2])), shape=shape)
    return np.array(numbers, np.int64), counted, np.array(lengths, float), list(place), counts


def _columns(entry: Entry) -> Mapping[str, Sequence[str]]:
    """The words of each column."""
    return {
        name: _WORD.findall(getattr(entry, name).replace("\0", " ")[:LONGEST].lower())
        for name in WEIGHTS
    }


def _impacts(counted: sparse.csc_array, lengths: Float[np.ndarray, " units"]) -> sparse.csc_array:
    """What each stem adds to the score of each unit it stands in, [units stems]."""
    units = np.diff(counted.indptr)
    rare = np.maximum(np.log((len(lengths) - units + 0.5) / (units + 0.5)), _RAREST)
    held_back = K1 * (1 - B + B * lengths / max(float(lengths.sum()) / max(len(lengths), 1), 1.0))
    told = counted.copy()
    told.data = (
        np.repeat(rare, units)
        * told.data * (K1 + 1) / (told.data + held_back[told.indices])
    )  # fmt: skip
    return told


class _Stemmer:
    """Words as FTS5 cuts and stems them (Porter's algorithm, accents and capitals put aside)."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute(
            "CREATE VIRTUAL TABLE given USING fts5(word, tokenize='porter unicode61')"
        )
        self._database.execute("CREATE VIRTUAL TABLE cut USING fts5vocab(given, instance)")
        # The viewer's server answers on several threads, and the words of one pass through a table.
        self._one_at_a_time = Lock()

    def stems(self, words: Sequence[str]) -> dict[str, list[str]]:
        """The stems of each word; an underscore, say, makes two of one."""
        found: dict[str, list[str]] = {word: [] for word in words}
        with self._one_at_a_time:
            self._database.execute("DELETE FROM given")
            rows = enumerate(words)
            self._database.executemany("INSERT INTO given(rowid, word) VALUES (?, ?)", rows)
            cut = self._database.execute("SELECT term, doc FROM cut ORDER BY doc, offset")
            for stem, row in cut:
                found[words[row]].append(stem)
        return found


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
        except sqlite3.DatabaseError as error:
            raise TomogramError(f"{path} is no index of words, or is damaged.") from error
        if stated != FORMAT:
            raise TomogramError(f"{path} has the format {stated}; this version reads {FORMAT}.")
        self._stemmer = _Stemmer()

    def find(self, query: str, *, limit: int) -> list[tuple[int, float]]:
        """Units in which any word of a query stands, best first, with their BM25 scores.

        A query is plain words, and `cap*` stands for the words that begin so; nothing else in it
        is an operator.

        Raises TomogramError where it holds no word, or the index is damaged.
        """
        terms = list(dict.fromkeys(_TERM.findall(query.lower())))[:_MOST_WORDS]
        if not terms:
            raise TomogramError("The search holds no word.")
        try:
            words = list(dict.fromkeys(word for term in terms for word in self._meant(term)))
            stems = {stem for found in self._stemmer.stems(words).values() for stem in found}
            lists = [found for stem in sorted(stems) for found in self._list(stem)]
        except (sqlite3.DatabaseError, ValueError) as error:
            raise TomogramError(f"{self._path} is damaged.") from error
        return _best(lists, limit)

    def _list(self, stem: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The units in which a stem stands, and what it gives each; nothing where none has it."""
        rows = self._database.execute("SELECT units, impacts FROM stems WHERE stem = ?", (stem,))
        for units, impacts in rows:
            found = np.frombuffer(units, "<u4"), np.frombuffer(impacts, "<f2")
            if len(found[0]) != len(found[1]):
                raise ValueError("lists of one stem have different lengths")
            yield found

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


def _best(lists: Sequence[tuple[np.ndarray, np.ndarray]], limit: int) -> list[tuple[int, float]]:
    """The units whose impacts add up to most, and the sums, best first."""
    if not lists:
        return []
    scores = np.zeros(max(int(units.max(initial=0)) for units, _ in lists) + 1, np.float32)
    for units, impacts in lists:
        scores[units] += impacts
    found = np.flatnonzero(scores)
    if len(found) > limit:
        # Of equals at the border the first ones: all that reach it are sorted.
        border = np.partition(scores[found], len(found) - limit)[len(found) - limit]
        found = found[scores[found] >= border]
    found = found[np.lexsort((found, -scores[found]))][:limit]
    return list(zip(found.tolist(), scores[found].astype(float).tolist(), strict=True))
