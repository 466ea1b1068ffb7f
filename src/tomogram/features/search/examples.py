"""Search by examples: which features do these sentences have in common?

Each sentence is a clue about every feature: how strange would it be for an ordinary stretch of
text of this length to hold an activation as strong as the strongest one here? If p is that
probability and the feature is what the examples are meant to show, it fires in a sentence with a
probability near 1; so a sentence where it fires speaks for it with log((1 − miss) / p), one where
it is silent against it with log(miss / (1 − q)), q the probability of firing at all. Summed over
the sentences this is a log likelihood ratio against chance. As in the size principle of Tenenbaum
and Griffiths (2001), of all features that fire in every example the rarest wins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.statistics import bin_of

MISS = 0.05
"""Probability that a feature is silent in a sentence that shows what it stands for."""


def evidence(
    strongest: sparse.csr_array,
    lengths: Int[np.ndarray, " sentences"],
    histogram: Int[np.ndarray, "units bins"],
    tokens: int,
    *,
    miss: float = MISS,
) -> Float[np.ndarray, " units"]:
    """Log likelihood ratio of each unit being what the sentences have in common, in nats.

    Args:
        strongest: [sentences units], the largest activation of each unit in each sentence.
        lengths: tokens of each sentence.
        histogram: firings of each unit by bin over ordinary text (`statistics.Statistics`).
        tokens: how long that text was.
    """
    strongest = sparse.csr_array(strongest)
    units = histogram.shape[0]
    # One firing more than was seen, or a unit that fired once in all the text would win always.
    rate = np.minimum((histogram.sum(1) + 1) / (tokens + 1), 1.0)
    silent = _within(rate[None, :], np.asarray(lengths)[:, None])
    total: np.ndarray = np.log(miss / np.maximum(1 - silent, 1e-9)).clip(max=0).sum(0)
    place, unit = strongest.nonzero()
    activation = strongest[place, unit]
    activation = np.asarray(activation).reshape(-1)
    above = histogram[:, ::-1].cumsum(1)[:, ::-1]
    stronger = (above[unit, bin_of(activation)] + 1) / (tokens + 1)
    chance = _within(np.minimum(stronger, 1.0), np.asarray(lengths)[place])
    gain = np.log((1 - miss) / np.maximum(chance, 1e-12))
    lost = np.log(miss / np.maximum(1 - silent[place, unit], 1e-9)).clip(max=0)
    return total + np.bincount(unit, gain - lost, minlength=units)


def _within(rate: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Probability that something of this rate a token happens within so many tokens."""
    happens: np.ndarray = -np.expm1(length * np.log1p(-np.minimum(rate, 1 - 1e-9)))
    return happens


def ranked(scores: Float[np.ndarray, " units"], limit: int) -> Sequence[tuple[int, float]]:
    """Numbers of the units with the largest scores, and the scores, best first."""
    best = np.argpartition(-scores, min(limit, len(scores) - 1))[:limit]
    best = best[np.lexsort((best, -scores[best]))]
    return [(int(unit), float(scores[unit])) for unit in best]
