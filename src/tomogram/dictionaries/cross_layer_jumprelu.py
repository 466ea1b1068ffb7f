"""CrossLayerJumpReLU: a cross-layer transcoder with a threshold a latent, the kind that others
publish (Ameisen et al. 2025, "Circuit Tracing"; Rajamanoharan et al. 2024)."""

from __future__ import annotations

from typing import ClassVar

from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.layered import Layered


class CrossLayerJumpReLU(Layered, JumpReLU):
    """A cross-layer transcoder whose latents fire where their score is above their own threshold.

    With all thresholds at 0 it is a cross-layer transcoder with ReLU. The loss is JumpReLU's, over
    all layers at once; its L0 and `target_l0` count the firing latents of all layers together.
    """

    kind: ClassVar[str] = "cross_layer_jumprelu"
