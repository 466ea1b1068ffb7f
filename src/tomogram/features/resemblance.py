"""Resemblance: which units write in nearly the same direction."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_COSINES_AT_ONCE = 2**25


@torch.no_grad()
def resembling(
    directions: Float[Tensor, "units width"], n: int
) -> tuple[Int[np.ndarray, "units n"], Float[np.ndarray, "units n"]]:
    """The n other units with the largest cosine to each unit's direction, and the cosines.

    A unit whose direction is zero resembles nothing: its cosines are 0. Exact, and so quadratic
    in the number of units: 100,000 of width 288 take 6 · 10¹² operations.

    Raises ValueError where there are not n others.
    """
    units = len(directions)
    if not 1 <= n < units:
        raise ValueError(f"{units} units do not have {n} others each")
    normed = torch.nn.functional.normalize(directions.float(), dim=1)
    others, cosines = [], []
    for start in range(0, units, max(1, _COSINES_AT_ONCE // units)):
        some = normed[start : start + max(1, _COSINES_AT_ONCE // units)]
        cosine = some @ normed.T
        row = torch.arange(len(some), device=cosine.device)
        cosine[row, row + start] = -torch.inf
        best = cosine.topk(n, dim=1)
        others.append(best.indices)
        cosines.append(best.values)
    return torch.cat(others).cpu().numpy(), torch.cat(cosines).cpu().numpy()
