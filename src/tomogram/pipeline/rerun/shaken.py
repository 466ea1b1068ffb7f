"""A model whose weights are moved in their last place, to see what rounding alone can change.

Two honest runs of one measurement differ by rounding: other batches, threads, libraries, devices.
How much that is worth for a given figure is asked of the figure itself (Parker 1997, "Monte Carlo
Arithmetic"): it is measured again with every weight off by at most one unit in its last place.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from tomogram.models.model import Model
from tomogram.models.wiring import wire


@torch.no_grad()
def shaken(model: Model, seed: int) -> Model:
    """A copy of a model with each weight multiplied by 1 + εu, u uniform in [−1, 1].

    ε is the machine epsilon of the weights' number format. The copy takes as much memory again and
    keeps the digest of the model it is a copy of.
    """
    module = copy.deepcopy(model.module)
    generator = torch.Generator().manual_seed(seed)
    for weight in module.parameters():
        if weight.is_floating_point():
            noise = torch.rand(weight.shape, generator=generator).mul_(2).sub_(1)
            noise *= torch.finfo(weight.dtype).eps
            weight.add_(weight * noise.to(weight))
    return replace(model, module=module, wiring=wire(module))
