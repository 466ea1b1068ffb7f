"""Arithmetic within groups: entries of equal group number that stand together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Shaped


def rank(group: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The place of each entry within its group, from 0."""
    starts = _starts(group)
    return np.arange(len(group)) - np.repeat(starts, _lengths(starts, group))


def running(
    values: Shaped[np.ndarray, " n"], group: Int[np.ndarray, " n"]
) -> Shaped[np.ndarray, " n"]:
    """Running sum that starts anew with each group."""
    starts = _starts(group)
    total = np.cumsum(values, dtype=np.float64)
    before = np.concatenate([[0.0], total])[starts]
    summed: np.ndarray = total - np.repeat(before, _lengths(starts, group))
    return summed


def up_to_largest(
    values: Shaped[np.ndarray, " n"], group: Int[np.ndarray, " n"]
) -> Shaped[np.ndarray, " n"]:
    """True from the start of each group up to and including its first largest value."""
    if not len(values):
        return np.zeros(0, bool)
    starts = _starts(group)
    lengths = _lengths(starts, group)
    largest = np.repeat(np.maximum.reduceat(values, starts), lengths)
    place = np.arange(len(values))
    first = np.minimum.reduceat(np.where(values == largest, place, len(values)), starts)
    chosen: np.ndarray = place <= np.repeat(first, lengths)
    return chosen


def _starts(group: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])[: len(group)])


def _lengths(starts: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.diff(starts, append=len(group))
