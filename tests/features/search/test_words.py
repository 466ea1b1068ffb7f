from __future__ import annotations

import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomogram.features.search.words import WEIGHTS, Entry, WordIndex, build
from tomogram.store.errors import TomogramError

ENTRIES = [
    Entry(3, "on “ dog”", "dog dogs", "barked loudly", "bone"),
    Entry(7, "", "cat", "the dog ran", "milk"),
    Entry(9, "", "<script>alert(1)</script>", "x" * 100_000, "\x00 \u202e end"),
]


@pytest.fixture
def index(tmp_path: Path) -> WordIndex:
    path = tmp_path / "it's [a] path?.sqlite"
    build(ENTRIES, path)
    return WordIndex(path)


def numbers(index: WordIndex, query: str) -> list[int]:
    return [number for number, _ in index.find(query, limit=5)]


def test_a_word_of_the_label_counts_more_than_one_of_the_context(index: WordIndex) -> None:
    assert numbers(index, "dog") == [3, 7]
    assert numbers(index, "Dogs!") == [3, 7]  # stems and capitals
    assert numbers(index, "milk") == [7]
    assert numbers(index, "cat bone") in ([7, 3], [3, 7])
    assert numbers(index, "nothing") == []
    scores = [score for _, score in index.find("dog", limit=5)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("query", ["dog NOT cat", 'dog"', "label:dog", "dog*", "(dog", "dog; DROP"])
def test_nothing_in_a_query_is_an_operator(index: WordIndex, query: str) -> None:
    assert 3 in numbers(index, query)


def test_hits_come_by_their_worth_and_not_by_their_number(tmp_path: Path) -> None:
    silent = [Entry(10 + i, "", "x", "y", "z") for i in range(20)]
    told = [
        Entry(1, "", "cat", "the dog ran", "milk"),  # in the context
        Entry(2, "", "cat", "the cow ran", "dog"),  # promoted
        Entry(3, "", "dog", "the cow ran", "milk"),  # fired on
        Entry(4, "on “ dog”", "cat", "the cow ran", "milk"),  # in the label
    ]
    build([*told, *silent], tmp_path / "words.sqlite")
    found = WordIndex(tmp_path / "words.sqlite").find("dog", limit=9)
    assert [number for number, _ in found] == [4, 3, 2, 1]
    scores = [score for _, score in found]
    assert all(better > worse > 0 for better, worse in pairwise(scores))
    rare = WordIndex(tmp_path / "words.sqlite").find("cat dog", limit=9)
    assert {number for number, _ in rare[:2]} <= {1, 2, 4}  # both words
    assert rare[-1][0] == 3


def test_a_star_stands_for_how_a_word_goes_on(index: WordIndex) -> None:
    assert numbers(index, "do*") == [3, 7]
    assert numbers(index, "bon* mil*") in ([3, 7], [7, 3])
    assert numbers(index, "dogs*") == [3, 7]  # a whole word is its own beginning, and has a stem
    assert numbers(index, "og*") == []
    for query in ("*", "**", " * "):
        with pytest.raises(TomogramError, match="no word"):
            index.find(query, limit=5)


def test_half_a_stem_finds_the_word_all_along(tmp_path: Path) -> None:
    """The index holds the stem `capit`, so `capita` would find nothing by itself."""
    build([Entry(1, "on “ capitals”", "", "", "")], tmp_path / "words.sqlite")
    index = WordIndex(tmp_path / "words.sqlite")
    for end in range(1, len("capitals") + 1):
        assert numbers(index, f"{'capitals'[:end]}*") == [1]


def test_hostile_text_is_words(index: WordIndex) -> None:
    assert numbers(index, "<script>") == [9]
    assert numbers(index, "end") == [9]
    with pytest.raises(TomogramError, match="no word"):
        index.find("?! \u202e", limit=5)


@given(
    st.lists(
        st.lists(st.sampled_from(["dog", "dogs", "cat", "café", "ran", "running"]), max_size=6),
        min_size=1, max_size=12,
    ),
    st.sampled_from(["dog", "cat", "cafe", "run dog", "ran cat dog", "fish"]),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_scores_are_those_of_sqlite(texts: list[list[str]], query: str) -> None:
    """FTS5 counts BM25 when it is asked; the index has worked it out beforehand."""
    entries = [
        Entry(3 * i + 1, " ".join(words[:1]), " ".join(words[1:3]), " ".join(words[3:]), "word")
        for i, words in enumerate(texts)
    ]
    theirs = sqlite3.connect(":memory:")
    theirs.execute(
        f"CREATE VIRTUAL TABLE units USING fts5({', '.join(WEIGHTS)}, tokenize='porter unicode61')"
    )
    for entry in entries:
        columns = [getattr(entry, name) for name in WEIGHTS]
        theirs.execute("INSERT INTO units(rowid, label, fires, promoted, context)"
                       " VALUES (?, ?, ?, ?, ?)", [entry.number, *columns])  # fmt: skip
    weights = ", ".join(map(str, WEIGHTS.values()))
    wanted = dict(
        theirs.execute(
            f"SELECT rowid, -bm25(units, {weights}) FROM units WHERE units MATCH ?",
            [" OR ".join(f'"{word}"' for word in query.split())],
        ).fetchall()
    )
    with tempfile.TemporaryDirectory() as folder:
        build(entries, Path(folder) / "words.sqlite")
        found = dict(WordIndex(Path(folder) / "words.sqlite").find(query, limit=99))
    assert set(found) == set(wanted)
    for number, score in found.items():
        assert score == pytest.approx(wanted[number], rel=2e-3, abs=1e-6)


def test_threads_that_ask_at_once_are_answered_each_for_itself(index: WordIndex) -> None:
    asked = ["dog", "cat bone", "bark*", "milk", "nowhere"] * 200
    expected = {query: index.find(query, limit=9) for query in set(asked)}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda query: index.find(query, limit=9), asked))
    assert found == [expected[query] for query in asked]


def test_of_many_units_the_best_are_given_and_equals_by_their_numbers(tmp_path: Path) -> None:
    same = [Entry(i, "", "dog", "", "") for i in range(50)]
    build([*same, Entry(50, "dog", "dog", "", "")], tmp_path / "words.sqlite")
    index = WordIndex(tmp_path / "words.sqlite")
    assert [number for number, _ in index.find("dog", limit=4)] == [50, 0, 1, 2]
    build([], tmp_path / "none.sqlite")
    assert WordIndex(tmp_path / "none.sqlite").find("dog", limit=4) == []


def test_damaged_and_newer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.sqlite"
    with pytest.raises(TomogramError, match="no index"):
        WordIndex(path)
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(TomogramError, match="damaged"):
        WordIndex(path)
    path.unlink()
    build(ENTRIES, path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(TomogramError, match="format 9"):
        WordIndex(path)
