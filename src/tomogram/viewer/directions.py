"""Directions: what each latent of a scan's dictionaries writes into the residual stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.store.errors import TomogramError

_INTO_STREAM = frozenset({"resid_pre", "resid_mid", "resid_post", "mlp_out", "attn_out"})


@dataclass(frozen=True, eq=False)
class Directions:
    """The decoder rows, of unit norm, of one dictionary that writes into the residual stream."""

    family: str
    layer: int
    rows: Float[np.ndarray, "units d_model"]


def directions(dictionaries: Iterable[Dictionary], units: Mapping[str, int]) -> list[Directions]:
    """Those of a scan's dictionaries, by layer.

    A dictionary that writes several places, or elsewhere, is left out.

    Args:
        units: how many units each family of the tables has.

    Raises:
        TomogramError: a dictionary has another number of latents than its table.
    """
    found = []
    for dictionary in dictionaries:
        writes = dictionary.shape.writes
        if dictionary.name not in units or len(writes) > 1 or writes[0].kind not in _INTO_STREAM:
            continue
        if dictionary.d_dict != units[dictionary.name]:
            raise TomogramError(
                f"The dictionary {dictionary.name} has {dictionary.d_dict} latents, its table "
                f"{units[dictionary.name]}: they are not of one scan."
            )
        rows = dictionary.W_dec.detach().float().cpu().numpy()
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        found.append(
            Directions(dictionary.name, writes[0].layer or 0, rows / np.maximum(norm, 1e-12))
        )
    return sorted(found, key=lambda each: (each.layer, each.family))
