"""Estimates: means with 95 % intervals, as they stand in `tomogram.json`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from tomogram.store.schema import Estimate

DRAWS = 2000
FEW = 20
"""With fewer samples than this a percentile bootstrap is too narrow; a t-interval is used."""


def estimate(samples: Float[np.ndarray, " n"], *, seed: int = 0) -> Estimate:
    """Mean of independent samples (rows, sequences, concepts) with its 95 % interval.

    Twenty samples and more are resampled (percentile bootstrap; Efron 1979); fewer get Student's
    t-interval. One sample has no interval: low and high are then the value itself, and n says so.

    Raises:
        ValueError: there is no sample, or one is not finite.
    """
    samples = np.asarray(samples, np.float64)
    n = len(samples)
    if samples.ndim != 1 or n == 0 or not np.isfinite(samples).all():
        raise ValueError("an estimate needs at least one sample, all of them finite")
    mean = float(samples.mean())
    if n == 1 or np.ptp(samples) == 0:
        return Estimate(value=mean, low=mean, high=mean, n=n)
    if n < FEW:
        half = float(stdtrit(n - 1, 0.975) * samples.std(ddof=1) / np.sqrt(n))
        return Estimate(value=mean, low=mean - half, high=mean + half, n=n)
    low, high = np.quantile(resample(n, seed=seed) @ samples, [0.025, 0.975])
    return Estimate(value=mean, low=float(low), high=float(high), n=n)


def resample(n: int, *, seed: int = 0, draws: int = DRAWS) -> Float[np.ndarray, "draws n"]:
    """Weights of n samples in each bootstrap draw; the weights of a draw add up to 1."""
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=draws)
    weights: np.ndarray = counts / n
    return weights
