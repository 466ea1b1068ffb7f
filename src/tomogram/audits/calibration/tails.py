"""Tail p-values: how far out a score lies among clean copies, beyond the farthest of them too.

A conformal p cannot be smaller than 1 / (n + 1), so among few clean copies it tells nothing apart
that lies above all of them. Verdicts keep to it, because it assumes nothing. To *rank* models the
scores above the median are described by a generalised Pareto distribution, as p-values of few
permutations are (Knijnenburg et al. 2009). Its shape, how heavy the tail is, is one for all audits
of a base, since a single audit has too few copies to tell it; the scale is each audit's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

SHAPES = tuple(np.round(np.arange(0.25, 1.01, 0.05), 2).tolist())
"""Shapes that are tried: from the tail of a t-distribution with four degrees of freedom to one
without a mean. A lighter tail than the first is never believed of so few copies."""


@dataclass(frozen=True)
class Tail:
    """The upper tail of one audit's clean scores.

    middle: their median. scale, shape: of the excesses over it. above, at_least: shares of scores
    above the median, and at least as great.
    """

    middle: float
    scale: float
    shape: float
    above: float
    at_least: float

    def p(self, score: float) -> float:
        """P(a clean copy's score is at least this one).

        Below the median, where nothing hangs on it but the order, the tail is mirrored.
        """
        distance = abs(score - self.middle) / self.scale
        beyond = float((1 + self.shape * distance) ** (-1 / self.shape))
        if score > self.middle:
            return self.above * beyond
        return 1 - (1 - self.at_least) * beyond


def shape_of(audits: Sequence[Sequence[float]]) -> float:
    """The shape under which the excesses of all audits are likeliest, each with its own scale.

    audits: the clean scores of each audit. Without any excess the middle of `SHAPES`.
    """
    excesses = [_excesses(each)[1] for each in audits if len(each)]
    useful = [each for each in excesses if len(each) > 1 and each.max() > 0]
    if not useful:
        return SHAPES[len(SHAPES) // 2]
    return max(SHAPES, key=lambda shape: sum(_likelihood(each, shape) for each in useful))


def tail(clean: Sequence[float], shape: float, step: float = 0.0) -> Tail:
    """The tail of clean scores of one audit, with a given shape.

    step: the smallest difference that two scores of this audit can have (`step_of`). The scale is
        no less: of counts nearly all clean ones are alike, and one more is not far out.

    Raises ValueError where there are fewer than two scores.
    """
    if len(clean) < 2:
        raise ValueError("a tail needs two scores at least")
    middle, excesses = _excesses(clean)
    at_least = float((np.asarray(clean, np.float64) >= middle).mean())
    scale = max(_scale(excesses, shape), step)
    # Where none lies above the median, one more copy might.
    above = max(len(excesses) / len(clean), 1 / (len(clean) + 1))
    return Tail(middle, scale, shape, above, at_least)


def step_of(scores: Sequence[float]) -> float:
    """The smallest difference between scores, to six places; 0 where all are alike."""
    gaps = np.diff(np.unique(np.round(np.asarray(scores, np.float64), 6)))
    return float(gaps.min()) if len(gaps) else 0.0


def _excesses(clean: Sequence[float]) -> tuple[float, Float[np.ndarray, " copy"]]:
    values = np.asarray(clean, np.float64)
    middle = float(np.median(values))
    return middle, values[values > middle] - middle


def _scale(excesses: Float[np.ndarray, " copy"], shape: float) -> float:
    """The likeliest scale: the root of mean((1 + shape) y / (scale + shape y)) = 1.

    Every excess counts at most (1 + shape) / shape there, so one far copy does not stretch it.
    """
    largest = float(excesses.max()) if len(excesses) else 0.0
    if largest <= sys.float_info.min * 1e20:
        return 1e-9  # clean copies that are all alike: whatever differs is far out

    def balance(scale: float) -> float:
        return float(((1 + shape) * excesses / (scale + shape * excesses)).mean() - 1)

    least = largest * 1e-12
    if balance(least) <= 0:
        return least  # nearly all lie at the median itself, and the likeliest scale is nothing
    return float(brentq(balance, least, largest * 2, xtol=least))


def _likelihood(excesses: Float[np.ndarray, " copy"], shape: float) -> float:
    scale = _scale(excesses, shape)
    spread = np.log1p(shape * excesses / scale).sum()
    return float(-len(excesses) * np.log(scale) - (1 + 1 / shape) * spread)
