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
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.statistics import bin_of

MISS = 0.05
"""Probability that a feature is silent in a sentence that shows what it stands for."""


@dataclass(frozen=True, eq=False)
class Background:
    """What a family's units do over ordinary text, in the form that a search reads.

    It depends on no sentence, so it is worked out once: a search of 100,000 units then adds up a
    few numbers for each and looks closely only at the units that fire.

    tokens: how long the text was.
    """

    silence: Float[np.ndarray, " units"]
    """Log probability that a unit does not fire on a token."""
    above: Int[np.ndarray, "units bins"]
    """On how many tokens it fired in a histogram bin or a higher one."""
    tokens: int

    @classmethod
    def of(cls, histogram: Int[np.ndarray, "units bins"], tokens: int) -> Background:
        """From the firings of each unit by bin (`statistics.Statistics`)."""
        above = np.cumsum(histogram[:, ::-1], axis=1, dtype=np.int32)[:, ::-1]
        return cls(_silence(above[:, 0], tokens), above, tokens)


def _silence(count: Int[np.ndarray, " n"], tokens: int) -> Float[np.ndarray, " n"]:
    # One firing more than was seen, or a unit that fired once in all the text would win always.
    rate = np.minimum((count.astype(np.float64) + 1) / (tokens + 1), 1 - 1e-9)
    return np.log1p(-rate)


def evidence(
    strongest: sparse.csr_array,
    lengths: Int[np.ndarray, " sentences"],
    background: Background,
    *,
    miss: float = MISS,
) -> Float[np.ndarray, " units"]:
    """Log likelihood ratio of each unit being what the sentences have in common, in nats.

    Args:
        strongest: [sentences units], the largest activation of each unit in each sentence.
        lengths: tokens of each sentence.
    """
    firing = sparse.coo_array(strongest)
    place, unit = firing.coords
    activation = np.asarray(firing.data)
    longs = np.asarray(lengths)
    # Silent in a sentence of n tokens has the log probability n · silence.
    total = np.zeros(len(background.silence))
    for length, sentences in zip(*np.unique(longs, return_counts=True), strict=True):
        total += sentences * _lost(background.silence, length, miss)
    stronger = _silence(background.above[unit, bin_of(activation)], background.tokens)
    chance = -np.expm1(longs[place] * stronger)
    gain = np.log((1 - miss) / np.maximum(chance, 1e-12))
    lost = _lost(background.silence[unit], longs[place], miss)
    return total + np.bincount(unit, gain - lost, minlength=len(total))


def _lost(
    silence: Float[np.ndarray, " n"], length: Int[np.ndarray, " n"] | int, miss: float
) -> Float[np.ndarray, " n"]:
    """What a silent sentence of some length says, never more than 0."""
    said: np.ndarray = np.log(miss) - np.maximum(length * silence, np.log(1e-9))
    return np.minimum(said, 0.0, out=said)


def ranked(scores: Float[np.ndarray, " units"], limit: int) -> Sequence[tuple[int, float]]:
    """Numbers of the units with the largest scores, and the scores, best first."""
    best = np.argpartition(-scores, min(limit, len(scores) - 1))[:limit]
    best = best[np.lexsort((best, -scores[best]))]
    return [(int(unit), float(scores[unit])) for unit in best]
