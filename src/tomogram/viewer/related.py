"""Related: the units that a page names beside one unit, from the scan's table of relations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from tomogram.features.search.catalogue import Catalogue as Numbering
from tomogram.features.tables import Tables
from tomogram.pipeline.labels import Key

RELATIONS = ("resembles", "earlier", "later", "cofires", "neuron")
"""Those shown, of `features.related`."""
SHOWN = 12
"""Members of a group that are named."""


@dataclass(frozen=True)
class Relation:
    """Another unit and how close it is."""

    other: Key
    score: float
    """Cosine of directions where it resembles; share of tokens on which both fire elsewhere."""
    both: int | None
    """Firings of both that were seen; None where it resembles."""


@dataclass(frozen=True, eq=False)
class Related:
    """The relations between the units of one scan."""

    tables: Tables
    numbering: Numbering

    def of(
        self, family: str, units: Sequence[int] | None = None
    ) -> dict[int, dict[str, list[Relation]]]:
        """By unit and relation the other units, closest first; of all units of a family if None."""
        among = "" if units is None else " AND unit IN (SELECT unnest(?))"
        rows = self.tables.query(
            "SELECT unit, relation::VARCHAR AS relation, other_family::VARCHAR AS other,"
            f' other_unit, score, "both" FROM related WHERE family = ?{among}'
            " ORDER BY unit, relation, rank",
            [family] if units is None else [family, list(units)],
        )
        found: dict[int, dict[str, list[Relation]]] = {}
        for row in rows:
            if row["relation"] in RELATIONS:
                other = Relation((row["other"], row["other_unit"]), row["score"], row["both"])
                found.setdefault(row["unit"], {}).setdefault(row["relation"], []).append(other)
        return found

    def duplicates(self, family: str, unit: int) -> tuple[list[Key], int]:
        """The near-duplicates of a unit, at most `SHOWN`, and how many there are."""
        number = self.numbering.number(family, unit)
        return self._named(self._others(self._twins, self.numbering.duplicate_of, number))

    def kin(self, family: str, unit: int) -> tuple[list[Key], int]:
        """The rest of its family of features, without near-duplicates; at most `SHOWN`, and how
        many there are."""
        number = self.numbering.number(family, unit)
        twins = set(self._others(self._twins, self.numbering.duplicate_of, number))
        members = self._others(self._families, self.numbering.kin_of, number)
        return self._named([other for other in members if other not in twins])

    @cached_property
    def _twins(self) -> dict[int, list[int]]:
        return _led(self.numbering.duplicate_of)

    @cached_property
    def _families(self) -> dict[int, list[int]]:
        return _led(self.numbering.kin_of)

    def _others(
        self, groups: dict[int, list[int]], leader: Int[np.ndarray, " units"], number: int
    ) -> list[int]:
        """The other members of a unit's group, the leader first."""
        first = int(leader[number])
        return [other for other in (first, *groups.get(first, ())) if other != number]

    def _named(self, numbers: Sequence[int]) -> tuple[list[Key], int]:
        return [self.numbering.name(number) for number in numbers[:SHOWN]], len(numbers)


def _led(leader: Int[np.ndarray, " units"]) -> dict[int, list[int]]:
    """For each leader of more than itself those it leads."""
    found: dict[int, list[int]] = {}
    for number in np.flatnonzero(leader != np.arange(len(leader))).tolist():
        found.setdefault(int(leader[number]), []).append(number)
    return found
