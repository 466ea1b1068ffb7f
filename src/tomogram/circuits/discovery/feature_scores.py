"""Feature scores: what each feature of a behaviour does, predicted by attribution patching.

s(node) = Σ over its positions of (z′ − z) · g, where z and z′ are what the node writes on the clean
and on the counterfactual prompt, and g is the gradient of the metric by the MLP's output on the
clean prompt (Marks et al. 2024, "Sparse Feature Circuits", section 3.1; Syed et al. 2023). Patching
one node of thousands changes little, so the slope where the model stands says what it does: means
of gradients on the way to the other prompt agree less with what was measured (docs/discovery.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from tomogram.circuits.discovery.feature_nodes import FeatureNodes, coded
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch, Pair, batches
from tomogram.circuits.discovery.spans import CHANGED, SPANS, spans
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.progress import task


def feature_scores(
    model: Model,
    nodes: FeatureNodes,
    pairs: Sequence[Pair],
    *,
    tokens: int = 512,
) -> Float[np.ndarray, "pair node"]:
    """The predicted change of m when a node alone writes what it writes on the counterfactual.

    Args:
        tokens: positions of a batch of pairs.
    """
    found = np.zeros((len(pairs), len(nodes)), np.float32)
    with task("scoring features", total=len(pairs), unit="pairs") as progress:
        for batch in batches(pairs, tokens=tokens, device=model.device):
            found[list(batch.rows)] = _scored(model, nodes, batch).float().cpu().numpy()
            progress.advance(len(batch.rows))
    return found


def in_spans(batch: Batch) -> Float[Tensor, "pair pos span"]:
    """1 where a position is of a span that has nodes."""
    return one_hot(spans(batch), len(SPANS))[..., CHANGED:].float()


def _scored(model: Model, nodes: FeatureNodes, batch: Batch) -> Float[Tensor, "pair node"]:
    with torch.no_grad():
        clean, other = (
            model.run(prompts, capture=nodes.sites(), logits=False)
            for prompts in (batch.clean, batch.counterfactual)
        )
    gradients = _gradients(model, nodes, batch)
    where = in_spans(batch)
    parts = []
    with torch.no_grad():
        for layer, dictionary in nodes.transcoders:
            g = gradients[layer]
            (latents, error), (latents_, error_) = (
                coded(dictionary, run[Site("mlp_in", layer)], run[Site("mlp_out", layer)])
                for run in (clean, other)
            )
            each = (latents_ - latents) * (g @ dictionary.W_dec.T)
            missed = ((error_ - error) * g).sum(-1, keepdim=True)
            both = torch.cat([each, missed], -1)
            parts.append(torch.einsum("bpn,bps->bsn", both, where.to(both)))
    return torch.cat(parts, -1).flatten(1)


def _gradients(
    model: Model, nodes: FeatureNodes, batch: Batch
) -> dict[int, Float[Tensor, "pair pos d_model"]]:
    """∂m/∂(each MLP's output) on the clean prompts."""
    last = Site("resid_post", model.n_layers - 1)
    shape = (*batch.clean.shape, model.d_model)
    probes = {
        layer: torch.zeros(shape, dtype=model.dtype, device=model.device, requires_grad=True)
        for layer, _ in nodes.transcoders
    }
    actions = {Site("mlp_out", layer): _more(probe) for layer, probe in probes.items()}
    with torch.enable_grad():
        run = model.run(batch.clean, capture=[last], interventions=actions, logits=False)
        value = metric(model, batch, run[last]).sum()
        found = torch.autograd.grad(value, list(probes.values()))
    return dict(zip(probes, found, strict=True))


def _more(probe: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda value: value + probe
