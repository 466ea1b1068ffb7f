"""The statistics of a calibration: the model is the sample, and bases are clusters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from tomogram.store.estimates import share
from tomogram.store.schema import Estimate

EDGES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""Lower edges of the bins of strength in a sensitivity curve."""
ENOUGH = 0.8
"""Least lower bound of sensitivity at a strength that counts as detectable."""
LEAST = 17
"""Variants of a bin: with fewer the lower bound is below ENOUGH even where all were found."""


def auroc(infected: Sequence[float], clean: Sequence[float]) -> Estimate:
    """P(an infected model outranks a clean one), ties half, with the interval of Hanley and McNeil
    (1982).

    Raises ValueError where an arm is empty.
    """
    one, other = np.asarray(infected, np.float64), np.asarray(clean, np.float64)
    if not len(one) or not len(other):
        raise ValueError("an AUROC needs both arms")
    above = (one[:, None] > other).mean() + 0.5 * (one[:, None] == other).mean()
    a = float(above)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = a * (1 - a) + (len(one) - 1) * (q1 - a * a) + (len(other) - 1) * (q2 - a * a)
    half = 1.96 * float(np.sqrt(max(variance, 0) / (len(one) * len(other))))
    return Estimate(
        value=a, low=max(0.0, a - half), high=min(1.0, a + half), n=len(one) + len(other)
    )


def sensitivity_at(infected: Sequence[float], clean: Sequence[float], alarms: float) -> Estimate:
    """Share of infected models above the score that at most `alarms` of the clean ones reach.

    With so few clean models that even one exceeds the share, the threshold is their greatest.
    """
    allowed = int(np.floor(alarms * len(clean)))
    threshold = np.sort(np.asarray(clean, np.float64))[::-1][allowed]
    return share(int((np.asarray(infected) > threshold).sum()), len(infected))


def over_bases(values: Sequence[float], within: tuple[float, float] = (0.0, 1.0)) -> Estimate:
    """Mean over bases of a share, with Student's t-interval within [0, 1], for fewer than twenty.

    within: other bounds, for a difference of shares. One base has no interval: low and high are
    then the value itself, and n says so.
    Raises ValueError where there is none.
    """
    if not values:
        raise ValueError("a mean over no base")
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    if len(array) == 1:
        return Estimate(value=mean, low=mean, high=mean, n=1)
    half = float(stdtrit(len(array) - 1, 0.975) * array.std(ddof=1) / np.sqrt(len(array)))
    least, most = within
    return Estimate(
        value=mean, low=max(least, mean - half), high=min(most, mean + half), n=len(array)
    )


@dataclass(frozen=True)
class Bin:
    """Models of a range of strength, and the share of them that was detected."""

    low: float
    high: float
    strength: float
    sensitivity: Estimate


def curve(
    strengths: Sequence[float], detected: Sequence[bool], variants: Sequence[Hashable]
) -> list[Bin]:
    """Sensitivity by strength, from weak to strong.

    A variant in several doses is one sample and not several: within a bin it counts once, and as
    found where it was found in every dose. From the strongest down, a bin with fewer than LEAST
    variants takes in the next weaker one; that looks at strengths alone and never at what was
    detected. Only the weakest bin may have fewer.
    """
    values = np.asarray(strengths, np.float64)
    bins: list[Bin] = []
    high = float("inf")
    for low in reversed(EDGES):
        inside = (values >= low) & (values < high)
        places = np.flatnonzero(inside).tolist()
        own = {variants[i] for i in places}
        if len(own) >= LEAST or (own and low == EDGES[0]):
            missed = {variants[i] for i in places if not detected[i]}
            found = share(len(own) - len(missed), len(own))
            bins.append(Bin(low, high, float(values[inside].mean()), found))
            high = low
    return bins[::-1]


def minimum_detectable(bins: Sequence[Bin]) -> float | None:
    """The smallest strength at which the lower 95 % bound of sensitivity is at least .8.

    A bin stands for its models' mean strength; it and every stronger bin must reach that bound.
    None where no bin does.
    """
    smallest = None
    for each in sorted(bins, key=lambda b: -b.low):
        if each.sensitivity.low < ENOUGH:
            break
        smallest = each.strength
    return smallest


def false_alarms(p_values: Sequence[float], alpha: float) -> Estimate:
    """Share of clean models whose p is at most alpha, with its exact interval."""
    return share(int((np.asarray(p_values) <= alpha).sum()), len(p_values))
