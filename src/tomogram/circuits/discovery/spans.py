"""Spans: what positions of prompts of different lengths have in common.

A circuit over many prompts has to say where a feature acts, and the same place has another number
in every prompt. What the two prompts of a pair share says it instead: a position belongs to a span
(Haklay et al. 2025, "Position-aware Automatic Circuit Discovery"), and spans follow from the pair
alone. Before the first token that differs, nothing differs in a model that looks back only.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from tomogram.circuits.discovery.pairs import Batch

SPANS = ("before", "changed", "between", "asked")
BEFORE, CHANGED, BETWEEN, ASKED = range(len(SPANS))


def spans(batch: Batch) -> Int[Tensor, "pair pos"]:
    """The span of every position: tokens that differ, what lies between, where a pair asks.

    The place that is asked about is `asked` whether or not its token differs. Positions after it
    reach no answer and count as `before`, as those before the first difference do.
    """
    differs = batch.clean != batch.counterfactual
    found = torch.where(differs.cumsum(1) > 0, BETWEEN, BEFORE)
    found[differs] = CHANGED
    places = torch.arange(found.shape[1], device=found.device)
    found[places[None] > batch.position[:, None]] = BEFORE
    rows = torch.arange(len(found), device=found.device)
    found[rows, batch.position] = ASKED
    return found
