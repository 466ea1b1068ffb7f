"""Search by likeness: the features that are most like a given one."""

from __future__ import annotations

from typing import Literal

from tomogram.features.search.catalogue import Catalogue
from tomogram.features.tables import Tables

Likeness = Literal["cofires", "resembles", "earlier", "later", "neuron"]


def similar(
    tables: Tables, catalogue: Catalogue, family: str, unit: int, likeness: Likeness
) -> list[tuple[int, float]]:
    """Units in one relation to a unit (`features.related`), closest first, with their scores.

    Raises TomogramError where there is no such unit.
    """
    catalogue.number(family, unit)
    rows = tables.query(
        "SELECT other_family, other_unit, score FROM related"
        " WHERE family = ? AND unit = ? AND relation = ? ORDER BY rank",
        (family, unit, likeness),
    )
    return [
        (catalogue.number(row["other_family"], row["other_unit"]), float(row["score"]))
        for row in rows
    ]
