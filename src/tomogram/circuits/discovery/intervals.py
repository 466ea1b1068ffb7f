"""Intervals of many means at once, by the rules of `store.estimates`."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from tomogram.store.estimates import FEW, resample

_COLUMNS = 4_096


def intervals(
    samples: Float[np.ndarray, "n column"],
) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " column"]]:
    """Ends of the 95 % interval of the mean of every column, over independent rows.

    Twenty rows and more are resampled (percentile bootstrap; Efron 1979); fewer get Student's t;
    one row has no interval, and both ends are its values.

    Raises:
        ValueError: there is no row, or a number is not finite.
    """
    samples = np.asarray(samples, np.float64)
    n = len(samples)
    if samples.ndim != 2 or n == 0 or not np.isfinite(samples).all():
        raise ValueError("intervals need at least one row, all finite")
    mean = samples.mean(0)
    if n == 1:
        return mean, mean
    if n < FEW:
        half = stdtrit(n - 1, 0.975) * samples.std(0, ddof=1) / np.sqrt(n)
        return mean - half, mean + half
    weights = resample(n)
    low, high = np.empty_like(mean), np.empty_like(mean)
    for start in range(0, samples.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        low[part], high[part] = np.quantile(weights @ samples[:, part], [0.025, 0.975], axis=0)
    return low, high
