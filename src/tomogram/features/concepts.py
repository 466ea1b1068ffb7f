"""Concepts: how well single units match what is known to be true of every token.

Only a generator knows that truth. For every concept the unit, its side and its threshold are
chosen by F1 on one text and measured on another, by one procedure for every kind of unit: latents,
neurons and random directions. All of a unit's activations above zero are looked at, whatever
counts as firing elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from tomogram.features.rules import f1

_UNITS_AT_ONCE = 256
SHORTLIST = 3
"""Units of a family whose threshold is searched exactly, for each concept."""


class Columns(Protocol):
    """Activations of a family's units over a text, given a few units at a time."""

    @property
    def units(self) -> int:
        """How many units there are."""

    def block(self, units: Int[np.ndarray, " some"]) -> sparse.csc_array:
        """The activations above zero of some units, [tokens some]."""

    def column(self, unit: int) -> Float[np.ndarray, " tokens"]:
        """The activations of one unit; what is not above zero may be given as zero."""


@dataclass(frozen=True)
class Latent:
    """Latents of a dictionary: sparse and never negative."""

    matrix: sparse.csc_array
    """[tokens units]."""

    @property
    def units(self) -> int:
        return int(self.matrix.shape[1])

    def block(self, units: Int[np.ndarray, " some"]) -> sparse.csc_array:
        return self.matrix[:, units]

    def column(self, unit: int) -> Float[np.ndarray, " tokens"]:
        column: np.ndarray = self.matrix[:, [unit]].toarray()[:, 0]
        return column


@dataclass(frozen=True)
class Signed:
    """Both sides of dense directions, such as neurons; numbered as in `units.Family`."""

    matrix: Float[np.ndarray, "tokens width"]

    @property
    def units(self) -> int:
        return 2 * self.matrix.shape[1]

    def block(self, units: Int[np.ndarray, " some"]) -> sparse.csc_array:
        width = self.matrix.shape[1]
        sides = self.matrix[:, units % width] * np.where(units < width, 1, -1).astype(np.float32)
        return sparse.csc_array(np.maximum(sides, 0))

    def column(self, unit: int) -> Float[np.ndarray, " tokens"]:
        width = self.matrix.shape[1]
        own = self.matrix[:, unit % width]
        return own if unit < width else -own


@dataclass(frozen=True)
class Matches:
    """The best unit of one family for each concept, chosen on one text, measured on another."""

    unit: Int[np.ndarray, " concepts"]
    threshold: Float[np.ndarray, " concepts"]
    """The unit is taken to say that the concept holds where its activation is above this."""
    selected: Float[np.ndarray, " concepts"]
    """F1 on the text it was chosen on."""
    measured: Float[np.ndarray, " concepts"]
    """F1 on the other text."""


def match(
    selection: Columns,
    selection_truth: sparse.csr_array,
    measurement: Columns,
    measurement_truth: sparse.csr_array,
) -> Matches:
    """Find the best unit of a family for every concept; truths are boolean [tokens concepts].

    Every unit's largest 1, 2, 3, 4, 6, 8, 11, 16 … activations, half an octave apart, are tried
    as its positive set; for the best SHORTLIST units the threshold is then searched over every
    activation. A concept no unit is ever active on gets F1 0.
    """
    truth = selection_truth.tocsr().astype(np.float32)
    unit, threshold, selected = _choose(selection, truth)
    truth = measurement_truth.tocsc().astype(bool)
    measured = np.zeros(len(unit))
    for concept in range(len(unit)):
        if selected[concept] > 0:
            column = measurement.column(unit[concept])
            true = np.zeros(len(column), bool)
            true[truth.indices[truth.indptr[concept] : truth.indptr[concept + 1]]] = True
            measured[concept] = _f1(column > threshold[concept], true)
    return Matches(unit, threshold, selected, measured)


def best_of(families: Mapping[str, Matches]) -> tuple[list[str], Matches]:
    """For each concept the family whose unit was best on the selection text, and its match."""
    names = list(families)
    every = list(families.values())
    winner = np.argmax([matches.selected for matches in every], axis=0)
    concept = np.arange(len(winner))
    columns = (
        np.stack([getattr(matches, name) for matches in every])[winner, concept]
        for name in ("unit", "threshold", "selected", "measured")
    )
    return [names[i] for i in winner], Matches(*columns)


def random_directions(width: int, count: int, seed: int) -> Float[np.ndarray, "width count"]:
    """Directions drawn evenly from all there are, of norm 1: the floor any unit should beat.

    Project centred activations on them, and give the result to `Signed`.
    """
    directions = np.random.default_rng(seed).standard_normal((width, count)).astype(np.float32)
    unit: np.ndarray = directions / np.linalg.norm(directions, axis=0)
    return unit


def _choose(columns: Columns, truth: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit, threshold and F1 of the best unit of each concept."""
    positives = np.asarray(truth.sum(0)).reshape(-1)
    shortlist = np.zeros((0, len(positives)), np.int64)
    scores = np.zeros((0, len(positives)))
    for start in range(0, columns.units, _UNITS_AT_ONCE):
        units = np.arange(start, min(start + _UNITS_AT_ONCE, columns.units))
        shortlist = np.concatenate(
            [shortlist, np.broadcast_to(units[:, None], (len(units), len(positives)))]
        )
        scores = np.concatenate([scores, _coarse(columns.block(units), truth, positives)])
        order = np.argsort(-scores, axis=0, kind="stable")[:SHORTLIST]
        shortlist = np.take_along_axis(shortlist, order, axis=0)
        scores = np.take_along_axis(scores, order, axis=0)
    by_concept = truth.tocsc()
    best = np.zeros((3, len(positives)))
    for concept in range(len(positives)):
        true = np.zeros(truth.shape[0], bool)
        true[by_concept.indices[by_concept.indptr[concept] : by_concept.indptr[concept + 1]]] = True
        for unit in shortlist[:, concept]:
            threshold, score = best_threshold(columns.column(unit), true)
            if score > best[2, concept]:
                best[:, concept] = unit, threshold, score
    return best[0].astype(np.int64), best[1], best[2]


def _coarse(
    block: sparse.csc_array, truth: sparse.csr_array, positives: Float[np.ndarray, " concepts"]
) -> Float[np.ndarray, "units concepts"]:
    """The best F1 of each unit for each concept over positive sets half an octave apart."""
    counts = np.diff(block.indptr)
    # Level 0 is the largest activation, level n what the first 2^(n/2) add to those before.
    steps = np.ceil(2 * np.log2(np.arange(1, counts.max(initial=1) + 1))).astype(np.int64)
    levels = int(steps[-1]) + 1
    level = np.empty(block.nnz, np.int64)
    for start, stop in pairwise(block.indptr):
        level[start + np.argsort(-block.data[start:stop])] = steps[: stop - start]
    unit = np.repeat(np.arange(block.shape[1]), counts)
    pattern = (block.indices, unit * levels + level)
    shape = (block.shape[0], block.shape[1] * levels)
    at_level = sparse.csr_array((np.ones(block.nnz, np.float32), pattern), shape=shape)
    true = (at_level.T @ truth).toarray().reshape(block.shape[1], levels, -1).cumsum(1)
    claimed = np.bincount(pattern[1], minlength=shape[1]).reshape(-1, levels).cumsum(1)
    best: np.ndarray = f1(true, claimed[:, :, None], positives).max(1)
    return best


def best_threshold(
    activation: Float[np.ndarray, " tokens"], true: Bool[np.ndarray, " tokens"]
) -> tuple[float, float]:
    """The threshold, at least 0, above which activation tells best what is true; and its F1.

    It lies half-way between two activations; at 0 where every activation above zero counts.
    """
    active = np.flatnonzero(activation > 0)
    if not len(active) or not true.any():
        return 0.0, 0.0
    active = active[np.argsort(-activation[active])]
    falling = activation[active]
    below = np.append(falling[1:], 0)
    score = f1(np.cumsum(true[active]), np.arange(1, len(active) + 1), np.array(true.sum()))
    # A threshold cannot part equal activations.
    score[falling == below] = 0
    best = int(np.argmax(score))
    threshold = (float(falling[best]) + float(below[best])) / 2 if best + 1 < len(active) else 0.0
    return threshold, float(score[best])


def _f1(said: Bool[np.ndarray, " tokens"], true: Bool[np.ndarray, " tokens"]) -> float:
    return float(f1(np.array((said & true).sum()), np.array(said.sum()), np.array(true.sum())))
