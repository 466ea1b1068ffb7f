"""Statistics of units: counts, moments and a histogram, mergeable without rounding.

Two halves of a text, counted apart and merged, give bit for bit what one count over all of it
gives. Counts are integers. Sums of floats are not associative, so the sum over each batch is
rounded to a multiple of a fixed power of two before it is added: additions of such multiples are
exact in any order, as long as the total stays below 2^53 of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from tomogram.features.units import Firings

BINS = 64
"""Histogram bins: two an octave, from 2^-16 to 2^16; the outer ones also hold what lies beyond."""
_LOWEST_OCTAVE = -16
_GRAIN = 2.0**-24


def bin_of(activation: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The histogram bin of each positive activation.

    An octave [2^e, 2^(e+1)) is cut at 1.5 · 2^e. The bin is read off the float's own bits: its
    exponent and the first bit of its mantissa.
    """
    half_octaves = activation.astype(np.float32, copy=False).view(np.int32) >> 22
    lowest = (127 + _LOWEST_OCTAVE) * 2
    return np.clip(half_octaves - lowest, 0, BINS - 1)


def bin_edges() -> Float[np.ndarray, " bins_plus_1"]:
    """The activations between which the bins lie, rising."""
    octave, half = np.divmod(np.arange(BINS + 1), 2)
    edges: np.ndarray = (1 + half / 2) * 2.0 ** (octave + _LOWEST_OCTAVE)
    return edges


@dataclass
class Statistics:
    """What has been counted of one family's units so far."""

    scale: float
    """Power of two near a typical activation: the sums are exact to 2^-24 of it."""
    tokens: int
    histogram: Int[np.ndarray, "units bins"]
    sums: Float[np.ndarray, "2 units"]
    """Sums of activation / scale and of its square over the firings."""
    largest: Float[np.ndarray, " units"]

    def __post_init__(self) -> None:
        if np.frexp(self.scale)[0] != 0.5:
            raise ValueError(f"the scale must be a power of two, not {self.scale}")

    @classmethod
    def empty(cls, size: int, scale: float) -> Statistics:
        """Statistics of `size` units over no text at all."""
        return cls(
            scale,
            0,
            np.zeros((size, BINS), np.int64),
            np.zeros((2, size)),
            np.zeros(size, np.float32),
        )

    @property
    def size(self) -> int:
        """How many units are counted."""
        return len(self.histogram)

    def add(self, firings: Firings, tokens: int) -> None:
        """Counts one batch of `tokens` tokens."""
        codes = firings.unit * BINS + bin_of(firings.activation)
        counts = np.bincount(codes, minlength=self.size * BINS)
        self.histogram += counts.reshape(self.size, BINS)
        scaled = firings.activation.astype(np.float64) / self.scale
        for power, total in enumerate(self.sums, start=1):
            batch = np.bincount(firings.unit, scaled**power, minlength=self.size)
            total += np.rint(batch / _GRAIN) * _GRAIN
        np.maximum.at(self.largest, firings.unit, firings.activation)
        self.tokens += tokens

    def merge(self, other: Statistics) -> Statistics:
        """What counting both texts together gives."""
        if (self.size, self.scale) != (other.size, other.scale):
            raise ValueError("only statistics of one family, on one scale, merge")
        return Statistics(
            self.scale,
            self.tokens + other.tokens,
            self.histogram + other.histogram,
            self.sums + other.sums,
            np.maximum(self.largest, other.largest),
        )

    @property
    def count(self) -> Int[np.ndarray, " units"]:
        """On how many tokens each unit fired."""
        return self.histogram.sum(1)

    @property
    def rate(self) -> Float[np.ndarray, " units"]:
        """Share of tokens on which each unit fired."""
        return self.count / max(self.tokens, 1)

    @property
    def mean(self) -> Float[np.ndarray, " units"]:
        """Mean activation where a unit fires; 0 for a unit that never did."""
        mean: np.ndarray = self.sums[0] / np.maximum(self.count, 1) * self.scale
        return mean

    @property
    def deviation(self) -> Float[np.ndarray, " units"]:
        """Standard deviation of the activation where a unit fires."""
        square = self.sums[1] / np.maximum(self.count, 1) * self.scale**2
        deviation: np.ndarray = np.sqrt(np.maximum(square - self.mean**2, 0))
        return deviation


def scale_of(activation: Float[np.ndarray, " n"]) -> float:
    """The power of two next above the root mean square of some activations; 1 for none."""
    if not len(activation):
        return 1.0
    rms = float(np.sqrt(np.mean(activation.astype(np.float64) ** 2)))
    return float(2.0 ** np.frexp(rms)[1])
