"""Raise a feature: its decoder row, added to the stream while the model runs."""

from __future__ import annotations

import torch
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.capture import Intervention
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


def raised(dictionary: Dictionary, unit: int, amount: float) -> dict[Site, Intervention]:
    """The interventions that raise one latent by an amount of activation at every position.

    What the latent would write if it were `amount` more active is added where its dictionary
    writes; a negative amount lowers it. Nothing else of the stream changes.

    Raises:
        TomogramError: there is no such latent, or the dictionary writes several sites.
    """
    if not 0 <= unit < dictionary.d_dict:
        raise TomogramError(f"{dictionary.name} has no feature {unit}.")
    added = dictionary.W_dec.detach()[unit] * amount
    if not bool(torch.isfinite(added).all()):
        raise TomogramError("The strength of a feature must be a finite number.")

    def add(value: Tensor) -> Tensor:
        return value + added.to(value.device, value.dtype)

    return {dictionary.write: add}
