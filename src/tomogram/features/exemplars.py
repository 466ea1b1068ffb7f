"""Exemplars: places in the text where a unit fires, kept as positions and never as text.

Two kinds are kept, by one rule. The *top* exemplars of a unit are its largest activations. The
*spread* exemplars show its whole range: the fixed log bins of `statistics`, an octave each, keep a
few firings drawn by a hash of the position, so that the draw is uniform and the same for
everybody. A document gives a unit (or an octave of it) at most one exemplar, or every page would
be the same story. Keeping the best of a union is the same as keeping the best of the best of its
parts, so exemplars merge exactly.

Each exemplar carries the unit's activations over the tokens around it in the same row, as bytes
relative to the largest of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from tomogram.features.groups import rank
from tomogram.features.statistics import BINS, bin_of
from tomogram.features.units import Firings

REACH = 16
"""Tokens kept on either side of an exemplar."""
OCTAVES = BINS // 2

Kind = Literal["top", "spread"]


@dataclass(frozen=True)
class Exemplars:
    """Exemplars of one family, as columns of equal length, best first within a group."""

    group: Int[np.ndarray, " exemplars"]
    """The unit; for spread exemplars unit · OCTAVES + octave. int64."""
    position: Int[np.ndarray, " exemplars"]
    """Number of the token in the packed text: row · context + offset. int64."""
    document: Int[np.ndarray, " exemplars"]
    """Number of the document the token belongs to. int32."""
    activation: Float[np.ndarray, " exemplars"]
    """float32."""
    window: UInt8[np.ndarray, "exemplars window"]
    """Activations at position − REACH … position + REACH in units of peak / 255."""
    peak: Float[np.ndarray, " exemplars"]
    """Largest activation of the window. float32."""

    def __len__(self) -> int:
        return len(self.group)

    def __getitem__(self, chosen: np.ndarray) -> Exemplars:
        """The exemplars at some places, or where a mask holds."""
        return Exemplars(*(getattr(self, column.name)[chosen] for column in fields(self)))

    @classmethod
    def empty(cls) -> Exemplars:
        """No exemplars."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.float32),
            np.zeros((0, 2 * REACH + 1), np.uint8),
            np.zeros(0, np.float32),
        )

    @classmethod
    def joined(cls, parts: list[Exemplars]) -> Exemplars:
        """All exemplars of some parts, one part after the other."""
        columns = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls))
        return cls(*columns)

    def windows(self) -> Float[np.ndarray, "exemplars window"]:
        """Activations around each exemplar, float32; 0 where the unit is silent or the row ends."""
        return self.window * (self.peak[:, None] / np.float32(255))


@dataclass(frozen=True)
class Excerpt:
    """An exemplar as a reader sees it: tokens of one document and the activation on each."""

    tokens: Int[np.ndarray, " tokens"]
    activations: Float[np.ndarray, " tokens"]
    centre: int
    """Which of them is the exemplar itself."""


def excerpt(
    tokens: Int[np.ndarray, "rows context"],
    documents: Int[np.ndarray, "rows context"],
    position: int,
    window: Float[np.ndarray, " window"],
) -> Excerpt:
    """The part of a window that lies in the exemplar's own row and document.

    `window` has the activations at position − REACH … position + REACH.

    Raises:
        ValueError: the position lies outside the text.
    """
    row, offset = divmod(position, tokens.shape[1])
    if not 0 <= row < len(tokens):
        raise ValueError(f"position {position} lies outside a text of {tokens.size} tokens")
    places = np.arange(max(0, offset - REACH), min(tokens.shape[1], offset + REACH + 1))
    places = places[documents[row, places] == documents[row, offset]]
    centre = int(np.searchsorted(places, offset))
    return Excerpt(tokens[row, places], window[places - offset + REACH], centre)


def draw(position: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """A number in [0, 1) for each position, the same on every machine and unrelated to its order.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014) makes the bits.
    """
    z = position.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Batch:
    """Where the tokens of a batch stand in the packed text; `context` of them make a row."""

    position: Int[np.ndarray, " tokens"]
    document: Int[np.ndarray, " tokens"]
    context: int


class Keeper:
    """Keeps the `n` best exemplars of every group while batches stream by.

    Best is the largest activation for top exemplars and the largest `draw` for spread ones; of
    equals, the earlier position.
    """

    def __init__(self, kind: Kind, size: int, n: int) -> None:
        if n < 1:
            raise ValueError("at least one exemplar must be kept")
        self.kind, self.size, self.n = kind, size, n
        self._kept = Exemplars.empty()
        self._waiting: list[Exemplars] = []
        # The key a newcomer must reach: that of the group's worst exemplar, once it has n.
        self._bar = np.full(size if kind == "top" else size * OCTAVES, -np.inf)

    def add(self, firings: Firings, batch: Batch) -> None:
        """Takes in the firings of one batch of whole rows."""
        group, key = firings.unit, firings.activation
        if self.kind == "spread":
            group = firings.unit * OCTAVES + bin_of(firings.activation) // 2
            key = draw(batch.position)[firings.token]
        hopeful = np.flatnonzero(key >= self._bar[group])
        if not len(hopeful):
            return
        token = firings.token[hopeful]
        position, document = batch.position[token], batch.document[token]
        best = _best(group[hopeful], key[hopeful], position, document, self.n)
        chosen = hopeful[best]
        window, peak = _windows(firings, chosen, batch.context)
        activation = firings.activation[chosen]
        self._waiting.append(
            Exemplars(group[chosen], position[best], document[best], activation, window, peak)
        )
        # Sorting only when as much waits as is kept makes each newcomer cost a constant.
        if sum(map(len, self._waiting)) >= len(self._kept):
            self._settle()

    def exemplars(self) -> Exemplars:
        """What has been kept so far, group by group, best first."""
        self._settle()
        return self._kept

    def merge(self, other: Keeper) -> Keeper:
        """What keeping the best of both texts together gives."""
        if (self.kind, self.size, self.n) != (other.kind, other.size, other.n):
            raise ValueError("only exemplars of one family and one kind merge")
        merged = Keeper(self.kind, self.size, self.n)
        merged._waiting = [self.exemplars(), other.exemplars()]
        merged._settle()
        return merged

    def _settle(self) -> None:
        if not self._waiting:
            return
        every = Exemplars.joined([self._kept, *self._waiting])
        key = every.activation if self.kind == "top" else draw(every.position)
        best = _best(every.group, key, every.position, every.document, self.n)
        self._kept, self._waiting = every[best], []
        # The n-th of a group, where there is one, is the last entry that shares its group.
        group, key = every.group[best], key[best]
        last = np.flatnonzero(rank(group) == self.n - 1)
        self._bar[group[last]] = key[last]


def _best(
    group: Int[np.ndarray, " m"],
    key: Float[np.ndarray, " m"],
    position: Int[np.ndarray, " m"],
    document: Int[np.ndarray, " m"],
    n: int,
) -> Int[np.ndarray, " best"]:
    """Indices of the n largest keys of each group, one a document, sorted by group and key."""
    order = np.lexsort((position, -key, group))
    # unique keeps the first of equals, which is the best of a group's firings in one document.
    pair = group[order] * (int(document.max(initial=0)) + 1) + document[order]
    order = order[np.sort(np.unique(pair, return_index=True)[1])]
    return order[rank(group[order]) < n]


def _windows(
    firings: Firings, chosen: Int[np.ndarray, " c"], context: int
) -> tuple[UInt8[np.ndarray, "c window"], Float[np.ndarray, " c"]]:
    """Activations of each chosen firing's unit around it, as bytes, and the peak they refer to."""
    wanted = np.zeros(int(firings.unit.max()) + 1, bool)
    wanted[firings.unit[chosen]] = True
    near = np.flatnonzero(wanted[firings.unit])
    order = np.lexsort((firings.token[near], firings.unit[near]))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    unit, token, activation = (
        column[near][order] for column in (firings.unit, firings.token, firings.activation)
    )
    # Sorted by unit and token, all firings within REACH tokens stand within REACH entries.
    here = place[np.searchsorted(near, chosen)][:, None]
    there = here + np.arange(-REACH, REACH + 1)
    inside = (there >= 0) & (there < len(order))
    there = np.clip(there, 0, len(order) - 1)
    distance = token[there] - token[here]
    inside &= (unit[there] == unit[here]) & (np.abs(distance) <= REACH)
    inside &= token[there] // context == token[here] // context
    window = np.zeros((len(chosen), 2 * REACH + 1), np.float32)
    row, _ = np.nonzero(inside)
    window[row, distance[inside] + REACH] = activation[there[inside]]
    peak = window.max(1, initial=0)
    return np.rint(window * (np.float32(255) / peak[:, None])).astype(np.uint8), peak
