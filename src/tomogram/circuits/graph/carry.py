"""Carry: what nodes add to the stream, layer by layer, forwards through the frozen model.

The same map as `rows`, in the other direction: a row asks what all sources put into one value,
this asks what a few nodes put into every place.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.graph.experiments import written
from tomogram.circuits.graph.trace import Traced
from tomogram.models.sites import Site


@torch.no_grad()
def carried(
    traced: Traced, nodes: Int[Tensor, " n"] | list[int]
) -> Iterator[Float[Tensor, "pos n d_model"]]:
    """What each node adds to the stream before each block, and at last to the final stream.

    Only what it writes itself counts, along residual stream, attention and skip paths and through
    no other node.
    """
    linear = traced.linear
    frozen = linear.frozen
    writes: dict[Site, list[tuple[int, int, Tensor]]] = {}
    for place, node in enumerate(nodes):
        for site, position, vector in written(traced, int(node)):
            writes.setdefault(site, []).append((place, position, vector))

    def add(stream: Tensor, site: Site) -> None:
        for place, position, vector in writes.get(site, ()):
            stream[position, place] += vector

    pos, width = frozen.like.shape
    stream = frozen.like.new_zeros(pos, len(nodes), width)
    for site in (Site("embed"), Site("pos_embed")):
        add(stream, site)
    pending: dict[int, Tensor] = {}
    for layer, block in enumerate(frozen.blocks):
        yield stream
        mid = stream + block.attention.forward(stream)
        read = block.mlp_norm.forward(stream if block.parallel else mid)
        for skip in linear.explained.skips:
            if skip.reads == layer:
                pending[skip.writes] = pending.get(skip.writes, 0) + read @ skip.weight.T
        stream = mid + pending.pop(layer) if layer in pending else mid
        add(stream, Site("mlp_out", layer))
    yield stream
