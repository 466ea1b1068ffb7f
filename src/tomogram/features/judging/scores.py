"""Scores of a judge's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tomogram.store.estimates import DRAWS
from tomogram.store.schema import Estimate


@dataclass(frozen=True)
class Score:
    """How well a label let a judge tell where its feature fires."""

    accuracy: Estimate
    """Balanced accuracy, ½ (true positive rate + true negative rate): ½ is chance."""
    unread: int
    """Answers that could not be read; each counts as wrong."""


def score(said: Sequence[bool | None], true: Sequence[bool], *, seed: int = 0) -> Score | None:
    """Balanced accuracy with its 95 % interval; None unless both kinds of passages were judged.

    The interval is a percentile bootstrap within the passages that fire and within the silent ones,
    which were drawn apart.
    """
    given = [s for s, _ in zip(said, true, strict=True)]
    right = np.array([s is not None and s == t for s, t in zip(given, true, strict=True)], float)
    fires = np.array(true, bool)
    if not fires.any() or fires.all():
        return None
    rng = np.random.default_rng(seed)
    value = (right[fires].mean() + right[~fires].mean()) / 2
    draws = (_resampled(right[fires], rng) + _resampled(right[~fires], rng)) / 2
    low, high = np.quantile(draws, [0.025, 0.975])
    estimate = Estimate(
        value=float(value),
        low=min(float(low), float(value)),
        high=max(float(high), float(value)),
        n=len(right),
    )
    return Score(estimate, sum(answer is None for answer in given))


def _resampled(
    right: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " draws"]:
    """Means of bootstrap draws of answers that are right or wrong: a binomial each."""
    drawn: np.ndarray = rng.binomial(len(right), right.mean(), size=DRAWS) / len(right)
    return drawn
