"""Relevance propagation: EAP with the coefficients of layer-wise relevance propagation.

Jafari et al. 2025 ("RelP") put in place of gradients what relevance propagation hands on: norms
with their denominators held, activation functions as the ratio output / input that they are, and
each factor of a product half of it. Products are also what attention does (Achtibat et al. 2024,
"AttnLRP", section 3.2): half goes to the values and half to the pattern, and of that half to the
queries and half to the keys.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.gradients import by_edge, reader_gradients
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import writes
from tomogram.circuits.graph.neurons import neuron_reads
from tomogram.models import norm as norms
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site


def relevance(model: Model, graph: EdgeGraph, batch: Batch) -> Float[Tensor, "pair writer reader"]:
    """Edge scores by relevance propagation; an MLP of unknown form keeps its gradient."""
    clean, other = (writes(model, graph, each) for each in (batch.clean, batch.counterfactual))
    gradients = reader_gradients(
        model, graph, batch, norm=held_norm, interventions=_rules(model, graph)
    )
    return by_edge(graph, other.written - clean.written, gradients)


def held_norm(norm: nn.Module | None, stream: Tensor) -> Tensor:
    """A norm whose denominators are constants: the value is the norm's, the gradient linear."""
    if norm is None:
        return stream
    value: Tensor = norm(stream)
    width = stream.shape[-1]
    gain = norms.gain(norm, width)
    centred = stream - stream.mean(-1, keepdim=True) if norms.centres(norm, width) else stream
    linear = centred * gain
    with torch.no_grad():
        along = ((value - norms.bias(norm, width)) * linear).sum(-1, keepdim=True)
        size = linear.square().sum(-1, keepdim=True)
        scale = along / size.clamp(min=torch.finfo(size.dtype).tiny)
    return value.detach() + scale * (linear - linear.detach())


def _rules(model: Model, graph: EdgeGraph) -> dict[Site, Intervention]:
    found: dict[Site, Intervention] = {}
    for layer in range(graph.n_layers):
        for kind, share in (("head_q", 0.25), ("head_k", 0.25), ("head_v", 0.5)):
            found[Site(kind, layer)] = _shared(share)
        if model.wiring.blocks[layer].neurons_to_stream is not None:
            found |= _neurons(model, layer)
    return found


def _shared(share: float) -> Intervention:
    """The value, with a share of its gradient."""
    return lambda value: value.detach() + share * (value - value.detach())


def _neurons(model: Model, layer: int) -> dict[Site, Intervention]:
    """Neurons as the linear maps of what they read that they are by their ratios."""
    seen: list[Tensor] = []

    def into(value: Tensor) -> Tensor:
        seen.append(value)
        return value

    def out(value: Tensor) -> Tensor:
        x = seen.pop().flatten(0, 1)
        found = neuron_reads(
            model, model.wiring.blocks[layer], x.detach(), value.detach().flatten(0, 1)
        )
        if found is None:
            return value
        linear = sum(
            (factor.ratio * (x @ factor.weight + factor.bias) for factor in found.factors),
            start=torch.zeros_like(found.factors[0].ratio),
        )
        linear = linear.view_as(value)
        return value.detach() + linear - linear.detach()

    return {Site("mlp_in", layer): into, Site("neurons", layer): out}
