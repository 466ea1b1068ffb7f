"""Said: which next words another model expects more, or less, on the same text, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from tomogram.features.moved import FEWEST, halves, largest_places
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate

LEAST = 0.02
"""Next words that are less probable than this in both models are not looked at."""


@dataclass(frozen=True)
class SaidWord:
    """A next word whose probability differs.

    change: mean of after − before over the documents of the other half in which either model
        expects it, in expected words a document. positions: where the difference is largest, a
        document each. values: its probability there, before and after.
    """

    token: int
    change: Estimate
    positions: tuple[int, ...]
    values: tuple[tuple[float, float], ...]


def expected(
    before: Float[Tensor, "tokens d_vocab"], after: Float[Tensor, "tokens d_vocab"]
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Both models' probabilities of each next word [tokens d_vocab], from their logits, where
    either is at least LEAST."""
    one, two = (each.float().softmax(-1) for each in (before, after))
    likely = torch.maximum(one, two) >= LEAST
    token, word = (each.cpu().numpy() for each in likely.nonzero(as_tuple=True))

    def kept(values: Tensor) -> sparse.csr_array:
        entries = values[likely].cpu().numpy()
        return sparse.csr_array((entries, (token, word)), shape=tuple(values.shape))

    return kept(one), kept(two)


def said_words(
    before: sparse.csr_array,
    after: sparse.csr_array,
    documents: Int[np.ndarray, " tokens"],
    *,
    more: bool,
    limit: int,
    examples: int,
) -> list[SaidWord]:
    """The words that are expected more (or less) after than before.

    Ranked by Σ(after − before)² / (½ + Σ before) over one half of the documents, the first sum over
    the tokens where it rose (fell): a few large shifts of a rare word count more than many small
    ones of a frequent word. Measured on the other half, where FEWEST documents must hold it.
    """
    change = sparse.csr_array(after - before)
    side = change.multiply(change > 0) if more else change.multiply(change < 0)
    first = halves(documents)
    usual = np.asarray(before[first].sum(axis=0)).ravel()
    score = np.asarray(side.power(2)[first].sum(axis=0)).ravel() / (0.5 + usual)
    tested = change[~first].tocsc()
    others, every = documents[~first], side.tocsc()
    found: list[SaidWord] = []
    for word in map(int, np.argsort(-score, kind="stable")):
        if score[word] <= 0 or len(found) == limit:
            break
        column = tested[:, [word]].tocoo()
        inside, which = np.unique(others[column.coords[0]], return_inverse=True)
        if len(inside) < FEWEST:
            continue
        each = every[:, [word]].tocoo()
        places = largest_places(each.coords[0], np.abs(each.data), documents, examples)
        found.append(
            SaidWord(
                word,
                estimate(np.bincount(which, column.data)),
                places,
                tuple((float(before[p, word]), float(after[p, word])) for p in places),
            )
        )
    return found
