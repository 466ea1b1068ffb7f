"""EAP: edge attribution patching, and its integrated-gradients forms.

Syed et al. 2023 ("Attribution Patching Outperforms Automated Circuit Discovery") and Hanna et al.
2024 ("Have Faith in Faithfulness"). s(u→v) = (z'_u − z_u) · g_v, where z_u and z'_u are what u
writes on the clean and the counterfactual prompt and g_v is the gradient of the metric by the
stream that v reads: on the clean run, or its mean over runs between the two prompts.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.gradients import by_edge, instead, reader_gradients
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import writes
from tomogram.models.model import Model
from tomogram.models.sites import Site

STEPS = 5
"""Points of an integral; what MIB (Mueller et al. 2025) runs."""


def eap(model: Model, graph: EdgeGraph, batch: Batch) -> Float[Tensor, "pair writer reader"]:
    """Edge attribution patching: the gradient of the clean run."""
    change = _change(model, graph, batch)
    return by_edge(graph, change, reader_gradients(model, graph, batch))


def eap_ig_inputs(
    model: Model, graph: EdgeGraph, batch: Batch, *, steps: int = STEPS
) -> Float[Tensor, "pair writer reader"]:
    """EAP-IG over inputs: the mean gradient over embeddings between the two prompts.

    The points are those of the published formula: z' + k/m (z − z'), k = 1 … m.
    """
    clean, other = (writes(model, graph, each) for each in (batch.clean, batch.counterfactual))
    ends = clean.written[:, 0], other.written[:, 0]
    total: Tensor | None = None
    for step in range(1, steps + 1):
        point = torch.lerp(ends[1], ends[0], step / steps)
        found = reader_gradients(
            model, graph, batch, interventions={Site("resid_pre", 0): instead(point)}
        )
        total = found if total is None else total + found
    assert total is not None
    return by_edge(graph, other.written - clean.written, total / steps)


def eap_ig_activations(
    model: Model, graph: EdgeGraph, batch: Batch, *, steps: int = STEPS
) -> Float[Tensor, "pair writer reader"]:
    """EAP-IG over activations: the mean gradient over outputs of one part after the other.

    In turn the embeddings, each layer's attention and each MLP give what lies between what they
    give on either prompt, while all else runs on the clean one (Hanna et al. 2024; MIB).
    """
    sites = [Site("resid_pre", 0)]
    for layer in range(graph.n_layers):
        sites += [Site("attn_out", layer), Site("mlp_out", layer)]
    with torch.no_grad():
        runs = [
            model.run(tokens, capture=sites, logits=False)
            for tokens in (batch.clean, batch.counterfactual)
        ]
    total: Tensor | None = None
    for site in sites:
        for step in range(1, steps + 1):
            point = torch.lerp(runs[1][site], runs[0][site], step / steps)
            found = reader_gradients(model, graph, batch, interventions={site: instead(point)})
            total = found if total is None else total + found
    assert total is not None
    return by_edge(graph, _change(model, graph, batch), total / (steps * len(sites)))


def _change(model: Model, graph: EdgeGraph, batch: Batch) -> Float[Tensor, "pair writer pos d"]:
    return (
        writes(model, graph, batch.counterfactual).written
        - writes(model, graph, batch.clean).written
    )
