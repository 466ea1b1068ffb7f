"""Moved: at which words of a text the residual streams of two models lie furthest apart.

A word is chosen on one half of the documents and measured on the other, so that its distance is
not the luck of having been chosen. Reading what the difference of activations does over ordinary
text is what Minder et al. 2025 do ("Narrow finetuning leaves clearly readable traces in activation
differences").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from tomogram.features.exemplars import draw
from tomogram.features.groups import rank
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate

FEWEST = 3
"""Documents of each half that must hold a word."""


@dataclass(frozen=True)
class MovedWord:
    """A word of the text, and how far apart the two models are on it.

    times: the distance on documents that the word was not chosen on, in units of the mean distance
        on all of them. positions: where the two are furthest apart, a document each.
    """

    token: int
    times: Estimate
    positions: tuple[int, ...]


def distance(
    before: Float[Tensor, "tokens width"], after: Float[Tensor, "tokens width"]
) -> Float[np.ndarray, " tokens"]:
    """‖after − before‖ / ‖before‖ of each token."""
    norm = before.float().norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    found: np.ndarray = ((after.float() - before.float()).norm(dim=1) / norm).cpu().numpy()
    return found


def halves(documents: Int[np.ndarray, " tokens"]) -> NDArray[np.bool_]:
    """Whether a token's document is of the half that things are chosen on; a hash deals them."""
    chosen: NDArray[np.bool_] = draw(documents.astype(np.int64)) < 0.5
    return chosen


def moved_words(
    distances: Float[np.ndarray, " tokens"],
    tokens: Int[np.ndarray, " tokens"],
    documents: Int[np.ndarray, " tokens"],
    *,
    limit: int,
    examples: int,
) -> list[MovedWord]:
    """The words on which two models are surely furthest apart.

    Args:
        distances: of each token of the text; where several layers are read, their mean, each
            in units of the layer's own mean.

    Ranked by the mean less two standard errors over the documents of one half, among words that
    FEWEST documents of either half hold; measured on the other half.
    """
    mean = float(distances.mean())
    if mean <= 0:
        return []
    first = halves(documents)
    chosen, tested = (
        _by_document(distances / mean, tokens, documents, of) for of in (first, ~first)
    )
    scores = {
        word: values.mean() - 2 * values.std(ddof=1) / len(values) ** 0.5
        for word, values in chosen.items()
        if len(values) >= FEWEST and len(tested.get(word, ())) >= FEWEST
    }
    best = sorted(scores, key=lambda word: (-scores[word], word))[:limit]
    return [
        MovedWord(
            word, estimate(tested[word]), _places(distances, tokens == word, documents, examples)
        )
        for word in best
    ]


def _by_document(
    values: np.ndarray, tokens: np.ndarray, documents: np.ndarray, part: NDArray[np.bool_]
) -> dict[int, np.ndarray]:
    """For each word of a part, its mean value in each document that holds it."""
    pairs = np.stack([tokens[part], documents[part]], 1).astype(np.int64)
    found, which = np.unique(pairs, axis=0, return_inverse=True)
    means = np.bincount(which.reshape(-1), values[part]) / np.bincount(which.reshape(-1))
    words, starts = np.unique(found[:, 0], return_index=True)
    return dict(zip(map(int, words), np.split(means, starts[1:]), strict=True))


def _places(
    values: np.ndarray, here: NDArray[np.bool_], documents: np.ndarray, limit: int
) -> tuple[int, ...]:
    return largest_places(np.flatnonzero(here), values[here], documents, limit)


def largest_places(
    places: Int[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    documents: Int[np.ndarray, " tokens"],
    limit: int,
) -> tuple[int, ...]:
    """The places of the largest values, at most one a document, largest first."""
    order = np.lexsort((places, -values))
    own = documents[places[order]]
    by_document = np.argsort(own, kind="stable")
    firsts = np.sort(by_document[rank(own[by_document]) == 0])
    return tuple(int(place) for place in places[order][firsts[:limit]])
