"""Dictionaries that need no training: random ones, and ones that reconstruct by construction."""

from __future__ import annotations

import torch
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.stored import Stored
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText


def randomised(dictionary: Dictionary, seed: int = 0) -> Dictionary:
    """The same dictionary with random weights; what a cross-layer one may not write stays 0."""
    generator = torch.Generator().manual_seed(seed)
    dictionary.requires_grad_(False)
    for tensor in dictionary.state_dict().values():
        tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
    causal = getattr(dictionary, "causal", None)
    if causal is not None:
        dictionary.W_dec.mul_(causal)
    return dictionary


def mirrored(dictionary: Dictionary, x: Tensor, y: Tensor) -> Dictionary:
    """Makes it the best affine map from x to y: half of the latents fire for each sign of it.

    It needs twice as many latents as it writes numbers. For x = y it reconstructs exactly.
    """
    ones = torch.cat([x, torch.ones(len(x), 1)], dim=1).double()
    solved = torch.linalg.lstsq(ones, y.double()).solution.float()
    plan, offset = solved[:-1].T, solved[-1]
    rows = torch.eye(len(offset))
    dictionary.requires_grad_(False)
    dictionary.W_enc.copy_(torch.cat([plan, -plan]))
    dictionary.W_dec.copy_(torch.cat([rows, -rows]))
    # Half of the offset stands in each bias, so that a wrong convention is wrong.
    dictionary.b_dec.copy_(offset / 2)
    dictionary.b_enc.copy_(torch.cat([offset, -offset]) / 2)
    for name in ("threshold", "r_mag"):
        if hasattr(dictionary, name):
            getattr(dictionary, name).zero_()
    if hasattr(dictionary, "b_mag"):
        dictionary.b_mag.copy_(dictionary.b_enc)
    return dictionary


def activations(model: Model, text: PackedText, site: Site) -> Tensor:
    """What a site holds on the whole text, a line a token."""
    tokens = torch.from_numpy(text.tokens.astype("int64"))
    with torch.no_grad():
        return model.run(tokens, capture=(site,))[site].flatten(0, 1).flatten(1)


def as_declared(stored: Stored) -> Dictionary:
    """A stored dictionary under the conventions its file declares."""
    return stored.dictionary(subtracts_b_dec=stored.subtracts_b_dec, input_scale=1.0)
