"""Shifted: which features of a dictionary fire otherwise in another model, on the same text.

Both models' activations are read through one dictionary, that of the trusted base. Features are
chosen on one half of the documents and measured on the other (`moved.halves`).

A fine-tune shifts most features a little everywhere, the frequent ones most, and that says nothing.
What says something is a feature whose shift is where the two models are far apart: so features are
ranked by the share of their shift that lies on the APART of all tokens with the largest distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.moved import FEWEST, halves, largest_places
from tomogram.store.estimates import ratio, within
from tomogram.store.schema import Estimate

APART = 0.01
"""Share of the tokens, those where two models are furthest apart, on which a shift should lie."""
FIRINGS = 3
"""Typical activations that are added to a feature's shift, so that rare features do not lead by a
single firing."""


@dataclass(frozen=True)
class ShiftedFeature:
    """A feature, and how its firing differs between two models.

    score: what it was ranked by, in [0, 1].
    turnover: Σ|after − before| / Σ(after + before) of its activations (Bray and Curtis 1957): 0
        where it fires alike, 1 where the two never fire together; on documents that it was not
        chosen on.
    rates: share of tokens on which it fires, before and after. activity: mean activation a token,
        before and after. Both of all documents.
    positions: where the difference is largest, a document each. values: the activations there.
    """

    unit: int
    score: float
    turnover: Estimate
    rates: tuple[float, float]
    activity: tuple[float, float]
    positions: tuple[int, ...]
    values: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shifts:
    """The features that shifted most, and how far the ranking repeats.

    repeats: share of the first features of one half of the documents that are among as many first
        ones of the other half. total: turnover of all features together, None
        where none fires.
    """

    features: tuple[ShiftedFeature, ...]
    repeats: float
    total: Estimate | None


def shifted(
    before: sparse.csr_array,
    after: sparse.csr_array,
    distances: Float[np.ndarray, " tokens"],
    documents: Int[np.ndarray, " tokens"],
    *,
    limit: int,
    examples: int,
) -> Shifts:
    """What differs between two codes [tokens units] of one text in one dictionary.

    Args:
        distances: how far apart the models are on each token (`moved.distance`).

    Raises ValueError where the shapes differ.
    """
    if before.shape != after.shape or before.shape[0] != len(documents):
        raise ValueError(f"codes {before.shape} and {after.shape} of {len(documents)} tokens")
    size = abs(sparse.csr_array(after - before))
    both = sparse.csr_array(after + before)
    first = halves(documents)
    apart = distances >= np.quantile(distances, 1 - APART)
    grain = FIRINGS * float(before.data.mean()) if before.nnz else 1.0
    scores = [_scores(size, both, documents, part, apart, grain) for part in (first, ~first)]
    best, other = (
        [int(u) for u in np.argsort(-s, kind="stable")[:limit] if s[u] > 0] for s in scores
    )
    documents_of = _by_document(documents, ~first)
    columns = [each.tocsc() for each in (size, both, before, after)]
    found = []
    for unit in best:
        own, sums, was, now = (each[:, [unit]] for each in columns)
        shift = own.tocoo()
        places = largest_places(shift.coords[0], shift.data, documents, examples)
        n = len(documents)
        found.append(
            ShiftedFeature(
                unit,
                float(scores[0][unit]),
                _turnover(documents_of @ own, documents_of @ sums),
                ((was > 0).nnz / n, (now > 0).nnz / n),
                (float(was.sum()) / n, float(now.sum()) / n),
                places,
                tuple((float(was[p, 0]), float(now[p, 0])) for p in places),
            )
        )
    total = [sparse.csc_array(documents_of @ each.sum(axis=1)[:, None]) for each in (size, both)]
    repeats = len(set(best) & set(other)) / max(len(best), 1)
    return Shifts(tuple(found), repeats, _turnover(*total) if total[1].nnz else None)


def _scores(
    size: sparse.csr_array,
    both: sparse.csr_array,
    documents: np.ndarray,
    part: np.ndarray,
    apart: np.ndarray,
    grain: float,
) -> Float[np.ndarray, " units"]:
    """By what units are ranked on one half; 0 where FEWEST documents of either half do not fire
    them."""
    inside = np.asarray(size[part & apart].sum(axis=0)).ravel()
    whole = np.asarray(size[part].sum(axis=0)).ravel()
    seen = [((_by_document(documents, each) @ both) > 0).sum(axis=0) for each in (part, ~part)]
    able = np.minimum(*(np.asarray(each).ravel() for each in seen)) >= FEWEST
    return np.where(able, inside / (whole + grain), 0.0)


def _by_document(documents: np.ndarray, part: np.ndarray) -> sparse.csr_array:
    """[documents tokens], 1 where a token of the part is a document's."""
    token = np.flatnonzero(part)
    found, which = np.unique(documents[token], return_inverse=True)
    ones = np.ones(len(token), np.float32)
    return sparse.csr_array((ones, (which, token)), shape=(len(found), len(documents)))


def _turnover(above: sparse.csc_array, below: sparse.csc_array) -> Estimate:
    """Σ above / Σ below over the documents where there is anything; [documents 1] both."""
    one, two = (each.toarray()[:, 0].astype(np.float64) for each in (above, below))
    return within(ratio(one[two > 0], two[two > 0]), 0, 1)
