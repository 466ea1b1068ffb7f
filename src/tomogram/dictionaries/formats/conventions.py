"""Conventions: what a file's weights mean is measured on the model's real activations.

Files differ silently in whether b_dec is subtracted before encoding, whether the input was scaled
to a fixed norm in training, and whether a transcoder reads before or after the gain of the MLP's
norm; what a file declares is sometimes wrong. So every combination is tried, and a dictionary that
reconstructs under none is refused.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries import quality
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.store.errors import TomogramError

# Another convention than the declared one is believed if its FVU is below this share of that one's.
_CLEARLY_BETTER = 0.9


@torch.no_grad()
def settle(
    stored: Stored,
    x: Float[Tensor, "tokens d_in"],
    y: Float[Tensor, "tokens d_out"],
    norm: Normalisation | None = None,
) -> Dictionary:
    """The dictionary under the convention that reconstructs y from x best.

    The declared convention wins unless another is clearly better. `norm` leads from x to what a
    file that reads before the gain would have seen. Raises TomogramError where the widths do not
    fit and where no convention explains any variance (FVU of 1 or more).
    """
    for side, width, activations in (("reads", stored.d_in, x), ("writes", stored.d_out, y)):
        if width != activations.shape[1]:
            raise TomogramError(
                f"{stored.origin} {side} activations of width {width}, but the model's "
                f"have {activations.shape[1]}: it belongs to another model."
            )
    # The declared convention comes first, so that it also wins ties.
    norms = [None] if norm is None else [norm, None] if stored.before_gain else [None, norm]
    conventions: list[dict[str, Any]] = [
        {"norm": through, "input_scale": scale, "subtracts_b_dec": subtracts}
        for through, scale, subtracts in product(norms, _scales(stored, x), _subtractions(stored))
    ]
    # One at a time: a dictionary may fill half of the memory.
    errors = [quality.measure(stored.dictionary(**c), x, y)[0].fvu for c in conventions]
    best = min(range(len(errors)), key=errors.__getitem__)
    if errors[best] > _CLEARLY_BETTER * errors[0]:
        best = 0
    # Written so that NaN is refused, too.
    if not errors[best] < 1:
        raise TomogramError(
            f"{stored.origin} does not reconstruct this model's activations under any convention "
            f"(fraction of variance unexplained {errors[best]:.2f}): it belongs to another model."
        )
    return stored.dictionary(**conventions[best])


def _scales(stored: Stored, x: Tensor) -> list[float]:
    """Factors on the input: none, and the one that gives it the mean norm √d_in."""
    scaled = ((stored.input_norm or x.shape[1] ** 0.5) / x.norm(dim=1).mean()).item()
    # A transcoder's output has a scale of its own: one factor in and out is no option.
    if stored.reads != stored.writes:
        return [1.0]
    return [1.0, scaled] if stored.input_norm is None else [scaled, 1.0]


def _subtractions(stored: Stored) -> list[bool]:
    """Whether b_dec is subtracted: as declared, then the opposite where the widths allow it."""
    if stored.d_in != stored.d_out:
        return [stored.subtracts_b_dec]
    return [stored.subtracts_b_dec, not stored.subtracts_b_dec]
