"""Rules: simple statements about tokens that may tell where a unit fires.

Each kind of rule has *marks*, and every token of a text bears some of them: its own id, the id
before it, the pair of both, the id that comes next, or the words that stand shortly before it. A
rule is a set of marks: it says that a unit fires on the tokens that bear any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.groups import running, up_to_largest

Kind = Literal["current", "previous", "pair", "next", "context"]
KINDS: tuple[Kind, ...] = ("current", "previous", "pair", "next", "context")
"""From the simplest statement to the farthest-fetched."""

WINDOW = 32
"""Tokens up to and including the current one in which a context word may stand."""
COMMON = 0.2
"""A word that stands in more than this share of the documents says nothing as context."""
CONTEXT_WORDS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Tokens:
    """Some rows of packed text as one line of tokens."""

    token: Int[np.ndarray, " tokens"]
    document: Int[np.ndarray, " tokens"]
    row: Int[np.ndarray, " tokens"]

    def neighbour(self, distance: int) -> Int[np.ndarray, " tokens"]:
        """The token so many places on in the same row and document; −1 where there is none."""
        there = np.arange(len(self.token)) + distance
        inside = (there >= 0) & (there < len(self.token))
        there = np.clip(there, 0, max(len(self.token) - 1, 0))
        inside &= self.document[there] == self.document
        inside &= self.row[there] == self.row
        return np.where(inside, self.token[there], -1)


@dataclass(frozen=True)
class Marks:
    """Which marks of one kind the tokens bear."""

    kind: Kind
    matrix: sparse.csr_array
    """[tokens marks], 1 where a token bears a mark."""
    tokens: Int[np.ndarray, "marks 1_or_2"]
    """The token ids a mark stands for."""


def marks(kind: Kind, text: Tokens) -> Marks:
    """All marks of one kind that stand in a text."""
    current = text.token.astype(np.int64)
    match kind:
        case "current":
            return _partition(kind, current[:, None])
        case "previous":
            return _partition(kind, text.neighbour(-1)[:, None])
        case "next":
            return _partition(kind, text.neighbour(1)[:, None])
        case "pair":
            return _partition(kind, np.stack([text.neighbour(-1), current], axis=1))
        case "context":
            return _context(text)


def _partition(kind: Kind, ids: Int[np.ndarray, "tokens 1_or_2"]) -> Marks:
    """Each token bears the one mark its ids make, or none where an id is missing."""
    known = np.flatnonzero((ids >= 0).all(1))
    tokens, mark = np.unique(ids[known], axis=0, return_inverse=True)
    matrix = _ones(known, mark.reshape(-1), (len(ids), len(tokens)))
    return Marks(kind, matrix, tokens)


def _context(text: Tokens) -> Marks:
    """Each token bears the less common words of the WINDOW that ends with it."""
    words, word = np.unique(text.token, return_inverse=True)
    documents, document = np.unique(text.document, return_inverse=True)
    spread = np.bincount(np.unique(word * len(documents) + document) // len(documents))
    rare = spread <= COMMON * len(documents)
    number = np.cumsum(rare) - 1
    places, found = [], []
    place = np.arange(len(word))
    for distance in range(WINDOW):
        back = text.neighbour(-distance)
        here = np.flatnonzero(back >= 0)
        mark = word[here - distance]
        here, mark = here[rare[mark]], number[mark[rare[mark]]]
        places.append(place[here])
        found.append(mark)
    shape = (len(word), int(rare.sum()))
    # A word that stands twice in a window is one mark.
    pairs = np.unique(np.concatenate(places) * max(shape[1], 1) + np.concatenate(found))
    token, mark = np.divmod(pairs, max(shape[1], 1))
    return Marks("context", _ones(token, mark, shape), words[rare][:, None])


def learn(
    marks: Marks, firing: sparse.csr_array, part: Int[np.ndarray, " part"]
) -> sparse.csc_array:
    """The rule of one kind that tells best where each unit fires, as a matrix [marks units].

    An entry is above zero where the mark belongs to the unit's rule, and is the weight of the
    firings on it. `firing` is [tokens units], with the weight of each firing: see `Tally`.

    Where each token bears one mark at most, the set with the largest F1 is a prefix of the marks
    in the order of precision, so it is found exactly (Lipton, Elkan and Narayanaswamy 2014: the
    best decision for F1 is a threshold on the probability). Context words overlap; there the best
    few words are tried together. A mark counts only if the unit fired on it twice, and precision
    is taken with one more miss than was seen, or every mark seen once would be perfect.
    """
    born, fired = marks.matrix[part], firing[part]
    together = (born.T @ _counted(fired)).tocoo()
    weight = (born.T @ fired).tocoo()
    often = together.data >= 2
    # Both products have the same pattern, so their entries stand in the same order.
    mark, unit = together.row[often], together.col[often]
    hits, silent = weight.data[often], _columns(born)[mark] - together.data[often]
    positive = _columns(fired)
    if marks.kind == "context":
        order = np.lexsort((mark, -f1(hits, hits + silent + 1, positive[unit]), unit))
        mark, unit, hits = mark[order], unit[order], hits[order]
        chosen = _best_few(marks, fired, part, mark, unit, hits)
    else:
        order = np.lexsort((mark, -hits / (hits + silent + 1), unit))
        mark, unit, hits, silent = mark[order], unit[order], hits[order], silent[order]
        true = running(hits, unit)
        score = f1(true, true + running(silent, unit), positive[unit])
        chosen = up_to_largest(score, unit)
    return _rule(mark[chosen], unit[chosen], hits[chosen], together.shape)


def predict(
    marks: Marks, rule: sparse.csc_array, part: Int[np.ndarray, " part"]
) -> sparse.csr_array:
    """Where a rule says that each unit fires, [tokens of the part, units], as ones."""
    return _counted((marks.matrix[part] @ rule).tocsr())


def f1(
    true: Float[np.ndarray, "*shape"],
    claimed: Float[np.ndarray, "*shape"],
    positive: Float[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    """2 · true / (claimed + positive): harmonic mean of precision and recall; 0 for no true one."""
    total = claimed + positive
    score: np.ndarray = 2 * true / np.where(total > 0, total, 1)
    return score


@dataclass(frozen=True)
class Tally:
    """What a rule claims of each unit, and what is so; one line, or one a cluster of documents.

    A firing weighs its activation over the unit's mean activation, so that the strong firings,
    which carry what the unit says, count for more than the faint ones; a silent token weighs 1.
    """

    claimed: Float[np.ndarray, "clusters units"]
    """Tokens the rule names."""
    true: Float[np.ndarray, "clusters units"]
    """Those of them on which the unit fires."""
    true_weight: Float[np.ndarray, "clusters units"]
    positive: Float[np.ndarray, "clusters units"]
    """Tokens on which the unit fires."""
    positive_weight: Float[np.ndarray, "clusters units"]

    @classmethod
    def of(cls, said: sparse.csr_array, fired: sparse.csr_array, member: sparse.csr_array) -> Tally:
        """Counts claims [tokens units] and weighed firings by cluster [clusters tokens]."""
        true = said.multiply(fired).tocsr()
        tables = (said, _counted(true), true, _counted(fired), fired)
        return cls(*((member @ table).toarray() for table in tables))

    def mixed(self, weights: Float[np.ndarray, "draws clusters"]) -> Tally:
        """Tallies of mixtures of the clusters, one line a mixture."""
        names = ("claimed", "true", "true_weight", "positive", "positive_weight")
        return Tally(*(weights @ getattr(self, name) for name in names))

    def f1(self) -> Float[np.ndarray, "clusters units"]:
        """Weighed F1 of each line."""
        return f1(
            self.true_weight,
            self.claimed - self.true + self.true_weight,
            self.positive_weight,
        )


def _best_few(
    marks: Marks,
    fired: sparse.csr_array,
    part: Int[np.ndarray, " part"],
    mark: np.ndarray,
    unit: np.ndarray,
    hits: np.ndarray,
) -> np.ndarray:
    """The first few marks of each unit: as many of CONTEXT_WORDS as give the best F1 together."""
    place = running(np.ones(len(unit)), unit)
    shape = (marks.matrix.shape[1], fired.shape[1])
    whole = sparse.csr_array(np.ones((1, len(part)), np.float32))
    scores = []
    for n in CONTEXT_WORDS:
        few = place <= n
        said = predict(marks, _rule(mark[few], unit[few], hits[few], shape), part)
        scores.append(Tally.of(said, fired, whole).f1()[0])
    chosen: np.ndarray = place <= np.array(CONTEXT_WORDS)[np.argmax(scores, axis=0)][unit]
    return chosen


def _rule(
    mark: np.ndarray, unit: np.ndarray, hits: np.ndarray, shape: tuple[int, int]
) -> sparse.csc_array:
    return sparse.csc_array((hits, (mark, unit)), shape=shape)


def _counted(matrix: sparse.csr_array) -> sparse.csr_array:
    """The same pattern with every entry 1."""
    ones = np.ones(len(matrix.data), np.float32)
    return sparse.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def _columns(matrix: sparse.csr_array) -> np.ndarray:
    return np.asarray(matrix.sum(0)).reshape(-1)


def _ones(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    ones = np.ones(len(row), np.float32)
    return sparse.csr_array((ones, (row, column)), shape=shape)
