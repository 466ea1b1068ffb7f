"""Estimates: means and shares with 95 % intervals, as they stand in `tomogram.json`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import betaincinv, stdtrit

from tomogram.store.schema import Estimate

DRAWS = 2000
FEW = 20
"""With fewer samples than this a percentile bootstrap is too narrow; a t-interval is used."""
MANY = 20_000
"""With more than this a bootstrap costs gigabytes and gives the t-interval."""


def estimate(samples: Float[np.ndarray, " n"], *, seed: int = 0) -> Estimate:
    """Mean of independent samples (rows, sequences, concepts) with its 95 % interval.

    Twenty samples and more are resampled (percentile bootstrap; Efron 1979); fewer, and more than
    MANY, get Student's t-interval. One sample has no interval: low and high are then the value
    itself, and n says so.

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
    if n < FEW or n > MANY:
        half = float(stdtrit(n - 1, 0.975) * samples.std(ddof=1) / np.sqrt(n))
        return Estimate(value=mean, low=mean - half, high=mean + half, n=n)
    low, high = np.quantile(resample(n, seed=seed) @ samples, [0.025, 0.975])
    return Estimate(value=mean, low=float(low), high=float(high), n=n)


def share(hits: int, n: int) -> Estimate:
    """hits / n with its exact 95 % interval (Clopper and Pearson 1934).

    Raises ValueError where n is 0.
    """
    if n == 0:
        raise ValueError("a share of nothing has no value")
    low = 0.0 if hits == 0 else float(betaincinv(hits, n - hits + 1, 0.025))
    high = 1.0 if hits == n else float(betaincinv(hits + 1, n - hits, 0.975))
    return Estimate(value=hits / n, low=low, high=high, n=n)


def ratio(
    above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"], *, seed: int = 0
) -> Estimate:
    """mean(above) / mean(below) of paired samples with its 95 % bootstrap interval over pairs."""
    value = float(above.mean() / below.mean())
    draws = resample(len(above), seed=seed)
    low, high = np.quantile((draws @ above) / (draws @ below), [0.025, 0.975])
    # Rounding may put the value of a constant ratio a hair outside its own interval.
    return Estimate(
        value=value, low=min(float(low), value), high=max(float(high), value), n=len(above)
    )


def within(found: Estimate, low: float = -np.inf, high: float = np.inf) -> Estimate:
    """The estimate of a quantity that cannot leave a range: the interval ends where the range does.

    A t-interval over few samples may reach beyond; what is cut off holds no possible value.
    """
    ends = [min(max(end, low), high) for end in (found.low, found.high)]
    return Estimate(value=found.value, low=ends[0], high=ends[1], n=found.n)


def resample(n: int, *, seed: int = 0, draws: int = DRAWS) -> Float[np.ndarray, "draws n"]:
    """Weights of n samples in each bootstrap draw; the weights of a draw add up to 1."""
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=draws)
    weights: np.ndarray = counts / n
    return weights
