from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tomogram.features.rules import KINDS, Kind, Tally, Tokens, f1, learn, marks, predict

TEXT = Tokens(
    token=np.array([5, 7, 5, 9, 5, 7]),
    document=np.array([0, 0, 0, 1, 1, 1]),
    row=np.array([0, 0, 0, 0, 1, 1]),
)


def borne(kind: Kind, text: Tokens = TEXT) -> list[list[tuple[int, ...]]]:
    """The marks each token bears, as tuples of token ids."""
    found = marks(kind, text)
    matrix = found.matrix.toarray()
    return [[tuple(map(int, found.tokens[m])) for m in np.flatnonzero(line)] for line in matrix]


def test_marks_end_at_documents_and_rows() -> None:
    assert borne("current") == [[(5,)], [(7,)], [(5,)], [(9,)], [(5,)], [(7,)]]
    assert borne("previous") == [[], [(5,)], [(7,)], [], [], [(5,)]]
    assert borne("next") == [[(7,)], [(5,)], [], [], [(7,)], []]
    assert borne("pair") == [[], [(5, 7)], [(7, 5)], [], [], [(5, 7)]]


def test_context_marks_are_the_rarer_words_up_to_here() -> None:
    # Six documents; word 1 stands in all of them, 2 and 3 in one each.
    token = np.array([1, 2, 1, 1, 1, 3, 3, 1, 1, 1])
    document = np.array([0, 0, 0, 1, 2, 3, 3, 3, 4, 5])
    text = Tokens(token, document, np.zeros(10, np.int64))
    assert borne("context", text) == [
        [], [(2,)], [(2,)], [], [], [(3,)], [(3,)], [(3,)], [], [],
    ]  # fmt: skip


def test_a_context_word_reaches_only_so_far() -> None:
    token = np.array([7] + [1] * 60)
    text = Tokens(
        np.concatenate([token, np.ones(9, np.int64)]),
        np.concatenate([np.zeros(61, np.int64), np.arange(1, 10)]),
        np.zeros(70, np.int64),
    )
    reached = [bool(line) for line in borne("context", text)]
    assert reached == [True] * 32 + [False] * 38


def best_by_trying_all(token: np.ndarray, weight: np.ndarray) -> float:
    """The best weighed F1 of any set of current tokens on which the unit fired twice."""
    ids = [t for t in np.unique(token) if np.sum(weight[token == t] > 0) >= 2]
    best = 0.0
    for chosen in chain.from_iterable(combinations(ids, n) for n in range(1, len(ids) + 1)):
        said = np.isin(token, chosen)
        true = weight[said].sum()
        best = max(best, 2 * true / (true + np.sum(weight[said] == 0) + weight.sum()))
    return best


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60))
def test_a_learned_rule_is_close_to_the_best_of_all_sets(pairs: list[tuple[int, int]]) -> None:
    # Repeated, so that the one extra miss a mark is charged with hardly matters.
    token = np.tile([t for t, _ in pairs], 50)
    weight = np.tile([w for _, w in pairs], 50).astype(np.float32)
    text = Tokens(token, np.zeros(len(token), np.int64), np.zeros(len(token), np.int64))
    firing = sparse.csr_array(weight[:, None])
    whole, found = np.arange(len(token)), marks("current", text)
    said = predict(found, learn(found, firing, whole), whole)
    tally = Tally.of(said, firing, sparse.csr_array(np.ones((1, len(token)), np.float32)))
    assert tally.f1()[0, 0] == pytest.approx(best_by_trying_all(token, weight), abs=0.02)


def test_a_mark_seen_firing_once_is_no_rule() -> None:
    text = Tokens(np.array([1, 2, 2]), np.zeros(3, np.int64), np.zeros(3, np.int64))
    firing = sparse.csr_array(np.array([[1.0], [1.0], [1.0]], np.float32))
    found = marks("current", text)
    rule = learn(found, firing, np.arange(3))
    assert [tuple(found.tokens[m]) for m in rule.indices] == [(2,)]


def test_context_words_are_tried_together() -> None:
    rng = np.random.default_rng(0)
    documents = np.repeat(np.arange(200), 10)
    token = rng.integers(10, 60, 2000)
    token[::10] = 1
    # The unit fires everywhere after word 3 or word 4, which open one document in twenty.
    for word, start in ((3, 0), (4, 200)):
        token[start : start + 100 : 10] = word
    fires = np.isin(documents, documents[(token == 3) | (token == 4)])
    firing = sparse.csr_array(fires.astype(np.float32)[:, None])
    text = Tokens(token, documents, documents // 10)
    found = marks("context", text)
    rule = learn(found, firing, np.arange(2000))
    assert {int(found.tokens[m, 0]) for m in rule.indices} == {3, 4}


@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_family_has_no_rules(kind: Kind) -> None:
    found = marks(kind, TEXT)
    firing = sparse.csr_array((6, 4), dtype=np.float32)
    rule = learn(found, firing, np.arange(6))
    assert rule.nnz == 0
    assert predict(found, rule, np.arange(6)).nnz == 0


def test_tallies_by_hand() -> None:
    said = sparse.csr_array(np.float32([[1], [1], [1], [0]]))
    fired = sparse.csr_array(np.float32([[1.5], [0], [0.5], [1]]))
    member = sparse.csr_array(np.float32([[1, 1, 0, 0], [0, 0, 1, 1]]))
    tally = Tally.of(said, fired, member)
    assert tally.claimed.tolist() == [[2], [1]]
    assert tally.true.tolist() == [[1], [1]]
    assert tally.true_weight.tolist() == [[1.5], [0.5]]
    assert tally.positive_weight.tolist() == [[1.5], [1.5]]
    whole = tally.mixed(np.ones((1, 2)))
    # One silent token claimed, weight 2 of 3 found: 2·2 / ((2 + 1) + 3).
    assert whole.f1()[0, 0] == pytest.approx(4 / 6)
    assert f1(np.zeros(1), np.zeros(1), np.zeros(1))[0] == 0
