"""Catalogue: every unit of a tomogram with a number of its own, as columns a search can rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from tomogram.features.tables import Tables
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Units numbered family by family; every column has one entry a unit."""

    families: tuple[str, ...]
    first: Int[np.ndarray, " families"]
    """Number of each family's unit 0."""
    latent: Bool[np.ndarray, " units"]
    """Whether it is a feature; the others are sides of neurons."""
    rate: Float[np.ndarray, " units"]
    """Share of tokens on which it fires; 0 for one that never does."""
    labels: Sequence[str | None]
    duplicate_of: Int[np.ndarray, " units"]
    """Number of the leader of its near-duplicates, its own where it leads."""
    kin_of: Int[np.ndarray, " units"]
    """Number of the leader of its family of features, its own where it leads."""

    def __len__(self) -> int:
        return len(self.rate)

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.families)}

    def name(self, number: int) -> tuple[str, int]:
        """Family of a unit and its number there."""
        family = int(np.searchsorted(self.first, number, side="right")) - 1
        return self.families[family], int(number - self.first[family])

    def number(self, family: str, unit: int) -> int:
        """The number of a unit.

        Raises TomogramError where there is no such unit.
        """
        place = self._place.get(family)
        if place is not None:
            end = self.first[place + 1] if place + 1 < len(self.first) else len(self)
            if 0 <= unit < end - self.first[place]:
                return int(self.first[place]) + unit
        raise TomogramError(f"There is no unit {unit} in '{family}'.")


def catalogue(tables: Tables, labels: Mapping[tuple[str, int], str] | None = None) -> Catalogue:
    """The catalogue of a tomogram's tables.

    Args:
        labels: better labels than those of the table, by family and unit.

    Raises TomogramError where a table is damaged.
    """
    rows = tables.columns(
        "SELECT family, unit, kind = 'latent' AS latent, rate, label FROM features"
        " ORDER BY layer, family, unit"
    )
    family, unit = rows["family"], rows["unit"]
    starts = np.flatnonzero(np.concatenate([[True], family[1:] != family[:-1]])[: len(family)])
    if len(family) == 0 or (unit[starts] != 0).any():
        raise TomogramError("The feature table holds no whole family of units.")
    names = tuple(str(family[i]) for i in starts)
    own = [None if label is None else str(label) for label in rows["label"]]
    found = Catalogue(
        families=names,
        first=starts,
        latent=rows["latent"].astype(bool),
        rate=rows["rate"].astype(np.float64),
        labels=own,
        duplicate_of=np.arange(len(family)),
        kin_of=np.arange(len(family)),
    )
    for key, label in (labels or {}).items():
        own[found.number(*key)] = label
    for relation, column in (("duplicate", found.duplicate_of), ("kin", found.kin_of)):
        ties = tables.columns(
            "SELECT family, unit, other_family, other_unit FROM related WHERE relation = ?",
            (relation,),
        )
        ends = [
            _numbers(found, ties[f"{side}family"], ties[f"{side}unit"]) for side in ("", "other_")
        ]
        column[ends[0]] = ends[1]
    return found


def _numbers(found: Catalogue, family: np.ndarray, unit: np.ndarray) -> np.ndarray:
    names, which = np.unique(family.astype(str), return_inverse=True)
    start = [found.number(str(name), 0) for name in names]
    return np.asarray(start, np.int64)[which.reshape(-1)] + unit if len(names) else unit[:0]
