"""Norms: from what an MLP reads back to its normed input before the norm's gain and bias.

TransformerLens shows the MLP's input there (`ln2.hook_normalized`), and so some transcoders are
trained on it: Gemma Scope's folded the gain into the MLP first (Lieberum et al. 2024, "Language
model technical details").
"""

from __future__ import annotations

from collections.abc import Sequence

from tomogram.dictionaries.normalisation import Normalisation, side_by_side
from tomogram.models import norm
from tomogram.models.model import Model
from tomogram.models.sites import Site


def before_gain(model: Model, sites: Sequence[Site]) -> Normalisation | None:
    """What leads from the activations of `mlp_in` sites, side by side, to those before the gain.

    None where a site is another one, or a model has no norm there.
    """
    found = []
    for site in sites:
        if site.kind != "mlp_in" or site.layer is None:
            return None
        module = model.wiring.blocks[site.layer].mlp_norm
        if module is None:
            return None
        gain, bias = (f(module, model.d_model).float().cpu() for f in (norm.gain, norm.bias))
        found.append(Normalisation(centre=bias.detach(), scale=gain.detach()))
    return side_by_side(found)
