"""How much a shard can be asked before its answers stop meaning anything.

The bound and its derivation are in docs/custody.md. A *query* is a question put to a model; an
adaptive developer can reach only as many different queries as there are possible answers so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from tomogram.store.errors import TomogramError

_MOST_ASKS = 1_000_000
"""No shard may be asked more often, however wide the width; it ends the search in `asks_within`."""


@lru_cache(maxsize=4096)
def queries(asks: int, alarms: int) -> int:
    """Number of different queries that `asks` asks can reach, when the shard closes at the
    `alarms`-th ALARM: the sum of C(asks, j) for j from 1 to `alarms`.

    Raises ValueError for a negative number of asks or less than one alarm.
    """
    if asks < 0 or alarms < 1:
        raise ValueError("a shard has 0 asks or more and closes at the first alarm or later")
    return sum(math.comb(asks, j) for j in range(1, min(alarms, asks) + 1))


def width(clusters: int, asks: int, alarms: int, delta: float) -> float:
    """Half-width within which every mean lies of its true value, with confidence 1 − delta.

    Over all asks together and whatever strategy chose the models; Hoeffding (1963) for each of
    the reachable queries. `clusters` is the number of independent draws of a question.
    Raises ValueError where there is no cluster, no ask, or delta is not in (0, 1).
    """
    if clusters < 1 or asks < 1 or not 0 < delta < 1:
        raise ValueError("a width needs a cluster, an ask and a delta in (0, 1)")
    return math.sqrt((math.log(2 / delta) + math.log(queries(asks, alarms))) / (2 * clusters))


def bits(asks: int, alarms: int) -> float:
    """Bits that `asks` asks have spent: log₂ of the reachable queries; the first ask is free."""
    return math.log2(queries(asks, alarms)) if asks else 0.0


def asks_within(clusters: int, limit: float, alarms: int, delta: float) -> int:
    """The most asks whose width is at most `limit`; 0 where even one is wider.

    Raises the errors of `width`.
    """
    low, high = 0, 1
    while high <= _MOST_ASKS and width(clusters, high, alarms, delta) <= limit:
        low, high = high, high * 2
    while high - low > 1:  # low fits, high does not
        middle = (low + high) // 2
        if width(clusters, middle, alarms, delta) <= limit:
            low = middle
        else:
            high = middle
    return low


def clusters_for(limit: float, asks: int, alarms: int, delta: float) -> int:
    """The fewest clusters with which `asks` asks stay within `limit`.

    Raises ValueError where the limit is not positive, and the errors of `width`.
    """
    if limit <= 0:
        raise ValueError("a width is positive")
    return math.ceil((width(1, asks, alarms, delta) / limit) ** 2)


@dataclass(frozen=True)
class Terms:
    """What is promised at sealing, for every shard of a suite.

    clusters: independent draws of each question in a shard.
    width: largest acceptable half-width of a mean, over all asks.
    delta: probability with which the promise may fail, for each shard.
    alarms: the shard closes at this many alarms.
    noise: the threshold moves by at most this much.

    Raises TomogramError where a term is out of range or not a single ask fits.
    """

    clusters: int
    width: float
    delta: float
    alarms: int
    noise: float

    def __post_init__(self) -> None:
        if self.clusters < 1 or self.alarms < 1:
            raise TomogramError("A shard needs at least one cluster and one allowed alarm.")
        if not (0 < self.delta < 1 and 0 < self.width < 1 and 0 <= self.noise < 1):
            raise TomogramError("Delta and width lie between 0 and 1, and so does the noise.")
        if self.asks == 0:
            needed = clusters_for(self.width, 1, self.alarms, self.delta)
            raise TomogramError(
                f"With {self.clusters} clusters a single ask is already wider than {self.width};"
                f" it needs {needed} clusters."
            )

    @property
    def asks(self) -> int:
        """The most asks a shard allows."""
        return asks_within(self.clusters, self.width, self.alarms, self.delta)


@dataclass(frozen=True)
class Spent:
    """What was taken from a shard's budget; an ask without an answer counts as an alarm."""

    asks: int = 0
    alarms: int = 0

    def refusal(self, terms: Terms) -> str | None:
        """Why no further ask is allowed, as one clause, or None where one is."""
        if self.alarms >= terms.alarms:
            return f"its {terms.alarms} alarms (asks still open among them) are used up"
        if self.asks >= terms.asks:
            return f"its {terms.asks} asks at width {terms.width:g} are used up"
        return None
