"""Kinship: units grouped by how often they fire together.

Each group has a leader, the unit that fires most among those not yet in a group; it takes in every
such unit that is tied to it strongly enough itself. So the members of a group are all alike to one
unit, which chains of pairs (connected components) do not promise.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from tomogram.features.cofiring import Pairs

DUPLICATE = 0.6
"""Strength of co-firing from which two units are near-duplicates: shown as one."""
KIN = 0.25
"""Strength from which they are of one family of features: shown side by side."""


def leaders(
    pairs: Pairs, count: Float[np.ndarray, " units"], least: float
) -> Int[np.ndarray, " units"]:
    """The leader of each unit's group; a unit that is tied to none leads itself.

    Args:
        count: how important each unit is, such as how often it fires; of equals the first leads.
        least: strength of the tie (`Pairs.strength`) a unit needs to its leader.
    """
    units = len(count)
    tied = pairs[pairs.strength >= least]
    ends = np.concatenate([tied.a, tied.b]), np.concatenate([tied.b, tied.a])
    ties = sparse.csr_array((np.ones(len(ends[0]), bool), ends), shape=(units, units))
    leader = np.arange(units)
    free = np.ones(units, bool)
    for unit in np.lexsort((np.arange(units), -count)):
        if free[unit]:
            members = ties.indices[ties.indptr[unit] : ties.indptr[unit + 1]]
            members = members[free[members]]
            leader[members] = unit
            free[members] = free[unit] = False
    return leader
