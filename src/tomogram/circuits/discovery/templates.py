"""Templates: what the last words, or the classes of the last words, settle by themselves.

A prediction needs a mechanism worth looking for where the model knows more than a table of word
sequences. The table here counts, in other documents, how often the same last tokens, or tokens of
the same classes, were followed by the same token; the longest share of all counts. Classes are
clusters of tokens by their neighbours in the text, so that "Dallas is in" is told from what every
sentence of its form says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

from tomogram.text.packing import PackedText

CLASSES = 60
EXACT, CLASSED = (1, 2), (2, 3, 4, 5, 6)
"""How many of the last tokens are looked at, as they are and by their classes."""
FEW = 5
"""A sequence that is seen less often in other documents says nothing."""
_COMPONENTS = 40


def word_classes(text: PackedText, vocabulary: int, *, seed: int = 0) -> Int[np.ndarray, " token"]:
    """The class of every token of a vocabulary; tokens that the text lacks are a class together.

    A token is described by the shares of the tokens before and after it.
    """
    left, right = text.tokens[:, :-1].reshape(-1), text.tokens[:, 1:].reshape(-1)
    ones = np.ones(len(left), np.float32)
    shape = (vocabulary, vocabulary)
    after = sparse.csr_matrix((ones, (left, right)), shape)
    before = sparse.csr_matrix((ones, (right, left)), shape)
    shares = sparse.hstack([normalize(side, "l1") for side in (before, after)]).sqrt().tocsr()
    seen = np.flatnonzero(np.diff(shares.indptr))
    classes = np.zeros(vocabulary, np.int64)
    if len(seen) < 3:
        return classes
    size = min(_COMPONENTS, len(seen) - 1)
    described = TruncatedSVD(size, random_state=seed).fit_transform(shares[seen])
    clusters = KMeans(min(CLASSES, len(seen)), n_init=2, random_state=seed)
    classes[seen] = 1 + clusters.fit_predict(normalize(described))
    return classes


def sequences(
    prompts: Sequence[Sequence[int]], classes: Int[np.ndarray, " token"]
) -> Int[np.ndarray, "order prompt"]:
    """A number for the last tokens of each prompt, exact and by classes; -1 where it is shorter."""
    orders = [(n, False) for n in EXACT] + [(n, True) for n in CLASSED]
    found = np.full((len(orders), len(prompts)), -1, np.int64)
    tails = [tuple(prompt[-max(*EXACT, *CLASSED) :]) for prompt in prompts]
    classed = [tuple(classes[list(tail)].tolist()) for tail in tails]
    for row, (n, by_class) in enumerate(orders):
        numbers: dict[tuple[int, ...], int] = {}
        for place, tail in enumerate(classed if by_class else tails):
            if len(tail) >= n:
                found[row, place] = numbers.setdefault(tail[-n:], len(numbers))
    return found


def settled(
    sequence: Int[np.ndarray, "order n"],
    token: Int[np.ndarray, " n"],
    document: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """The largest share, over orders, of the same sequences elsewhere that are followed the same.

    Args:
        sequence: of every prediction (`sequences`).
        token: what is predicted.
        document: where; only other documents count.
    """
    best = np.zeros(len(token))
    for row in sequence:
        inside, own = _times(row, document), _times(row, token, document)
        seen = _times(row) - inside
        same = _times(row, token) - own
        counts = (row >= 0) & (seen >= FEW)
        best = np.maximum(best, np.where(counts, same / np.maximum(seen, 1), 0))
    return best


def _times(*columns: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How often each row of some columns is there."""
    whole = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        numbers = np.unique(column, return_inverse=True)[1]
        _, whole = np.unique(whole * (numbers.max(initial=0) + 1) + numbers, return_inverse=True)
    times: np.ndarray = np.bincount(whole)[whole]
    return times
