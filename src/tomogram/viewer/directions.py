"""Directions: what each latent writes into the residual stream, and which of them point alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.store.errors import TomogramError
from tomogram.viewer.catalogue import Key

SHOWN = 8
"""Similar units shown of each unit."""
LEAST = 0.15
"""Directions at a smaller cosine are not called similar."""
_INTO_STREAM = frozenset({"resid_pre", "resid_mid", "resid_post", "mlp_out", "attn_out"})


@dataclass(frozen=True, eq=False)
class Directions:
    """The decoder rows of every dictionary that writes into the residual stream, of unit norm."""

    by_family: Mapping[str, Float[np.ndarray, "units d_model"]]
    layer: Mapping[str, int]
    site: Mapping[str, str]
    """The kind of site each dictionary writes to."""

    def similar(self, family: str, unit: int, n: int = SHOWN) -> list[tuple[Key, float]]:
        """The units of the same dictionary whose directions are nearest by cosine, nearest first.

        Empty for a family without directions.
        """
        rows = self.by_family.get(family)
        if rows is None:
            return []
        return self._nearest(family, rows[unit], n, but=unit)

    def neighbours(
        self, family: str, unit: int, n: int = 3
    ) -> list[tuple[str, list[tuple[Key, float]]]]:
        """For the dictionaries of the same kind one layer before and after, the nearest units."""
        rows = self.by_family.get(family)
        if rows is None:
            return []
        return [(name, self._nearest(name, rows[unit], n)) for name in self.beside(family) if name]

    def beside(self, family: str) -> tuple[str | None, str | None]:
        """The dictionaries of the same kind one place before and one after."""
        order = sorted(
            (name for name in self.by_family if self._kin(name) == self._kin(family)),
            key=self._depth,
        )
        at = order.index(family)
        return (order[at - 1] if at else None, order[at + 1] if at + 1 < len(order) else None)

    def _kin(self, name: str) -> str:
        # The stream before the first block belongs with the streams after the others.
        return "resid" if self.site[name].startswith("resid") else self.site[name]

    def _depth(self, name: str) -> tuple[int, bool]:
        return self.layer[name], self.site[name] != "resid_pre"

    def _nearest(
        self, family: str, direction: Float[np.ndarray, " d_model"], n: int, but: int | None = None
    ) -> list[tuple[Key, float]]:
        cosine = self.by_family[family] @ direction
        if but is not None:
            cosine[but] = -1
        n = min(n, len(cosine))
        best = np.argpartition(-cosine, n - 1)[:n]
        best = best[np.argsort(-cosine[best], kind="stable")]
        return [((family, int(i)), float(cosine[i])) for i in best if cosine[i] >= LEAST]


def scanned_dictionaries(folder: Path) -> list[Dictionary]:
    """The dictionaries a scan trained and kept in its folder; none where it was given them.

    Raises:
        TomogramError: a file is damaged.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return []
    return own.read(folder)


def directions(dictionaries: list[Dictionary], units: Mapping[str, int]) -> Directions:
    """The directions of those dictionaries that write one place of the residual stream.

    Args:
        units: how many units each family of the tables has.

    Raises:
        TomogramError: a dictionary has another number of latents than its table.
    """
    rows: dict[str, np.ndarray] = {}
    layer: dict[str, int] = {}
    site: dict[str, str] = {}
    for dictionary in dictionaries:
        if dictionary.name not in units or dictionary.shape.writes[-1].kind not in _INTO_STREAM:
            continue
        if len(dictionary.shape.writes) > 1:
            continue
        if dictionary.d_dict != units[dictionary.name]:
            raise TomogramError(
                f"The dictionary {dictionary.name} has {dictionary.d_dict} latents, its table "
                f"{units[dictionary.name]}: they are not of one scan."
            )
        decoder = dictionary.W_dec.detach().float().cpu().numpy()
        norm = np.linalg.norm(decoder, axis=1, keepdims=True)
        rows[dictionary.name] = decoder / np.maximum(norm, 1e-12)
        layer[dictionary.name] = dictionary.write.layer or 0
        site[dictionary.name] = dictionary.write.kind
    return Directions(rows, layer, site)
