"""Conductance: what every edge carries while the prompt is led from one to the other.

The conductance of a neuron (Dhamdhere et al. 2018, "How Important Is a Neuron?", section 3) is the
integral of its gradient over its own change along the path of integrated gradients (Sundararajan et
al. 2017). Here the path is that of EAP-IG over inputs (Hanna et al. 2024), and the integral is
taken for each edge: s(u→v) = ∫ g_v · dz_u, with z_u what u writes on the way and g_v the gradient
of the metric by the stream that v reads. EAP-IG takes the mean of g_v times the whole change of
z_u; what changes late, where the metric no longer listens, counts there and not here. On the way
the metric changes by what the edges into the logits carry, so their scores add up to the difference
between the prompts, and so on at every reader.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.gradients import by_edge, gradients_and_writes, instead
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import writes
from tomogram.models.model import Model
from tomogram.models.sites import Site

STEPS = 8
"""Equal parts of the way, each by the trapezoid rule."""


def conductance(
    model: Model, graph: EdgeGraph, batch: Batch, *, steps: int = STEPS
) -> Float[Tensor, "pair writer reader"]:
    """Edge scores by gradients integrated over what each writer writes on the way.

    The way leads the embeddings in a straight line from the clean prompt to the counterfactual one.
    """
    clean, other = (
        writes(model, graph, tokens).written[:, 0] for tokens in (batch.clean, batch.counterfactual)
    )
    scores: Tensor | None = None
    before: tuple[Tensor, Tensor] | None = None
    for step in range(steps + 1):
        start = {Site("resid_pre", 0): instead(torch.lerp(clean, other, step / steps))}
        gradient, written = gradients_and_writes(model, graph, batch, interventions=start)
        if before is not None:
            part = by_edge(graph, written - before[1], (gradient + before[0]) / 2)
            scores = part if scores is None else scores + part
        before = gradient, written
    assert scores is not None
    return scores
