"""What the last words settle: counts by hand, and words that stand in one another's places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.circuits.discovery.templates import FEW, sequences, settled, word_classes
from tomogram.text.packing import PackedText

PLAIN = np.arange(20)


def test_only_other_documents_count() -> None:
    # In each document "1 2" is followed by 3; six documents, twice in each.
    prompts = [(9, 1, 2)] * 12
    token, document = np.full(12, 3), np.repeat(np.arange(6), 2)
    np.testing.assert_allclose(settled(sequences(prompts, PLAIN), token, document), 1)
    # In one document alone nothing is known elsewhere.
    alone = np.zeros(12, int)
    np.testing.assert_allclose(settled(sequences(prompts, PLAIN), token, alone), 0)


def test_a_share_is_of_the_other_documents_and_the_largest_counts() -> None:
    # Eight documents: after "5" comes 6 or 7 by turns, after "4 5" always 6.
    prompts = [(4, 5), (3, 5)] * 4
    token = np.array([6, 7] * 4)
    found = settled(sequences(prompts, PLAIN), token, np.arange(8))
    # Seven others end in 5; three of them say the same. Two tokens are seen too rarely.
    assert FEW > 3
    np.testing.assert_allclose(found, 3 / 7)


def test_classes_settle_what_words_do_not() -> None:
    # "N is" with eight names: the name is new each time, its class is not.
    prompts = [(9, name, 1) for name in range(10, 18)]
    token, document = np.full(8, 2), np.arange(8)
    by_word = settled(sequences([p[:2] for p in prompts], PLAIN), token, document)
    np.testing.assert_allclose(by_word, 0)
    classes = np.where(np.arange(20) >= 10, 5, np.arange(20))
    by_class = settled(sequences([p[:2] for p in prompts], classes), token, document)
    np.testing.assert_allclose(by_class, 1)


def test_short_prompts_have_no_long_sequences() -> None:
    found = sequences([(1,), (1, 2), (3, 1, 2)], PLAIN)
    assert (found[0] >= 0).all()
    assert (found[1] >= 0).tolist() == [False, True, True]
    assert found[1, 1] == found[1, 2]


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=60))
def test_shares_are_shares(rows: list[tuple[int, int, int]]) -> None:
    prompts = [row[:2] for row in rows]
    token = np.array([row[2] for row in rows])
    found = settled(sequences(prompts, PLAIN), token, np.arange(len(rows)) // 2)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.fixture(scope="module")
def text() -> PackedText:
    """Subject verb object full stop, each drawn from four words of its own."""
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, 4, 4_000) + start for start in (0, 4, 8)]
    tokens = np.stack([*columns, np.full(4_000, 12)], 1).reshape(40, 400)
    return PackedText(tokens.astype(np.int32), np.zeros((40, 400), np.int32))


def test_words_of_one_place_are_of_one_class(
    text: PackedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomogram.circuits.discovery.templates.CLASSES", 4)
    classes = word_classes(text, 15)
    parts = [set(classes[part].tolist()) for part in (slice(0, 4), slice(4, 8), slice(8, 12))]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert len({*classes[:13].tolist()}) == 4
    # What the text lacks is a class of its own.
    assert set(classes[13:].tolist()).isdisjoint(classes[:13].tolist())
    np.testing.assert_array_equal(classes, word_classes(text, 15))
