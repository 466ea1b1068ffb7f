"""Projection: a map of all directions in two dimensions.

Neighbours on the map are neighbours by cosine: t-SNE (van der Maaten and Hinton 2008) of at most
`LANDMARKS` directions, started from their principal components, and every other direction at the
mean of its nearest landmarks, weighted by cosine. So a hundred thousand directions take little
longer than two thousand. Distances between far groups mean nothing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from tomogram.features.exemplars import draw

LANDMARKS = 2000
NEAREST = 3
_COMPONENTS = 32
_BLOCK = 4096
_SPREAD = 0.012


def project(rows: Float[np.ndarray, "units d"], seed: int = 0) -> Float[np.ndarray, "units 2"]:
    """A place in [0, 1]² for each direction of unit norm; the same for the same rows and seed."""
    n = len(rows)
    if n < 5:
        return np.stack([np.linspace(0, 1, n), np.full(n, 0.5)], axis=1) if n else np.zeros((0, 2))
    chosen = np.sort(np.argsort(draw(np.arange(n)), kind="stable")[:LANDMARKS])
    landmarks = rows[chosen]
    kept = min(_COMPONENTS, *landmarks.shape)
    reduced = PCA(kept, random_state=seed).fit_transform(landmarks)
    start = reduced[:, :2] / max(float(reduced[:, 0].std()), 1e-9) * 1e-4
    tsne = TSNE(
        perplexity=min(30.0, (len(chosen) - 1) / 3), init=start, max_iter=500, random_state=seed
    )
    at = tsne.fit_transform(reduced).astype(np.float64)
    low, high = at.min(0), at.max(0)
    at = (at - low) / np.maximum(high - low, 1e-9)
    places = np.empty((n, 2))
    for first in range(0, n, _BLOCK):
        places[first : first + _BLOCK] = _among(rows[first : first + _BLOCK], landmarks, at)
    # Several directions between the same landmarks would lie on one point.
    angle, radius = (2 * np.pi * draw(np.arange(n) + k * n) for k in (1, 2))
    nudge = _SPREAD * np.sqrt(radius / (2 * np.pi))[:, None]
    places += nudge * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places[chosen] = at
    return places.clip(0, 1)


def _among(
    rows: Float[np.ndarray, "some d"],
    landmarks: Float[np.ndarray, "marks d"],
    at: Float[np.ndarray, "marks 2"],
) -> Float[np.ndarray, "some 2"]:
    """Mean place of the nearest landmarks; a nearer one counts for much more."""
    cosine = rows @ landmarks.T
    n = min(NEAREST, len(landmarks))
    best = np.argpartition(-cosine, n - 1, axis=1)[:, :n]
    weight = np.exp(12 * np.take_along_axis(cosine, best, axis=1))
    weight /= weight.sum(1, keepdims=True)
    return np.einsum("sn,snd->sd", weight, at[best])
