"""Feature scores: what each feature of a behaviour does, predicted by integrated gradients.

s(node) = Σ over its positions of (z′ − z) · g, where z and z′ are what the node writes on the clean
and on the counterfactual prompt, and g is the gradient of the metric by the MLP's output, averaged
over runs whose embeddings lie between the two prompts (Marks et al. 2024, "Sparse Feature
Circuits"; the points are those of EAP-IG, Hanna et al. 2024).
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
from tomogram.models.capture import Intervention
from tomogram.models.model import Model, Run
from tomogram.models.sites import Site
from tomogram.store.progress import task

STEPS = 5


def feature_scores(
    model: Model,
    nodes: FeatureNodes,
    pairs: Sequence[Pair],
    *,
    steps: int = STEPS,
    tokens: int = 512,
) -> Float[np.ndarray, "pair node"]:
    """The predicted change of m when a node alone writes what it writes on the counterfactual.

    Args:
        steps: points of the integral; with one it is the gradient on the clean prompt.
        tokens: positions of a batch of pairs.
    """
    found = np.zeros((len(pairs), len(nodes)), np.float32)
    with task("scoring features", total=len(pairs), unit="pairs") as progress:
        for batch in batches(pairs, tokens=tokens, device=model.device):
            found[list(batch.rows)] = _scored(model, nodes, batch, steps).float().cpu().numpy()
            progress.advance(len(batch.rows))
    return found


def in_spans(batch: Batch) -> Float[Tensor, "pair pos span"]:
    """1 where a position is of a span that has nodes."""
    return one_hot(spans(batch), len(SPANS))[..., CHANGED:].float()


def _scored(
    model: Model, nodes: FeatureNodes, batch: Batch, steps: int
) -> Float[Tensor, "pair node"]:
    first = Site("resid_pre", 0)
    with torch.no_grad():
        clean, other = (
            model.run(prompts, capture=[first, *nodes.sites()], logits=False)
            for prompts in (batch.clean, batch.counterfactual)
        )
    gradients = _gradients(model, nodes, batch, (clean[first], other[first]), steps)
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
    model: Model,
    nodes: FeatureNodes,
    batch: Batch,
    ends: tuple[Tensor, Tensor],
    steps: int,
) -> dict[int, Float[Tensor, "pair pos d_model"]]:
    """∂m/∂(each MLP's output), the mean over embeddings on the way from one prompt to the other."""
    layers = [layer for layer, _ in nodes.transcoders]
    last = Site("resid_post", model.n_layers - 1)
    total = {layer: torch.zeros_like(ends[0]) for layer in layers}
    for step in range(1, steps + 1):
        point = torch.lerp(ends[1], ends[0], step / steps)
        probes = {layer: torch.zeros_like(point, requires_grad=True) for layer in layers}
        actions: dict[Site, Intervention] = {Site("resid_pre", 0): _instead(point)}
        actions |= {Site("mlp_out", layer): _more(probe) for layer, probe in probes.items()}
        with torch.enable_grad():
            run: Run = model.run(batch.clean, capture=[last], interventions=actions, logits=False)
            value = metric(model, batch, run[last]).sum()
            found = torch.autograd.grad(value, [probes[layer] for layer in layers])
        for layer, gradient in zip(layers, found, strict=True):
            total[layer] += gradient / steps
    return total


def _instead(point: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda value: point


def _more(probe: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda value: value + probe
