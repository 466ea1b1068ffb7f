"""Carry: what is written to the stream, place by place, forwards through the frozen model.

The same map as `rows`, in the other direction: a row asks what all sources put into one value,
this asks what a few writes put into every place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.graph.experiments import Written, written
from tomogram.circuits.graph.rows import Linear
from tomogram.circuits.graph.trace import Traced
from tomogram.models.sites import Site


@torch.no_grad()
def carried(
    linear: Linear, writes: Sequence[Sequence[Written]]
) -> Iterator[Float[Tensor, "pos n d_model"]]:
    """What each of n sources adds to the stream by what it writes, depth by depth.

    Depths are those of `rows.Reading`: before each block, between its attention and its MLP, and at
    last after all blocks. It counts along residual stream, attention and skip paths and through no
    unit.
    """
    frozen = linear.frozen
    listed: dict[Site, list[tuple[int, int, Tensor]]] = {}
    for place, each in enumerate(writes):
        for site, position, vector in each:
            listed.setdefault(site, []).append((place, position, vector))

    def add(stream: Tensor, site: Site) -> None:
        for place, position, vector in listed.get(site, ()):
            stream[position, place] += vector

    pos, width = frozen.like.shape
    stream = frozen.like.new_zeros(pos, len(writes), width)
    for site in (Site("embed"), Site("pos_embed")):
        add(stream, site)
    pending: dict[int, Tensor] = {}
    for layer, block in enumerate(frozen.blocks):
        yield stream
        mid = stream + block.attention.forward(stream)
        yield mid
        read = block.mlp_norm.forward(stream if block.parallel else mid)
        for skip in linear.explained.skips:
            if skip.reads == layer:
                pending[skip.writes] = pending.get(skip.writes, 0) + read @ skip.weight.T
        stream = mid + pending.pop(layer, 0)
        add(stream, Site("mlp_out", layer))
    yield stream


def of_nodes(traced: Traced, nodes: Sequence[int]) -> Iterator[Float[Tensor, "pos n d_model"]]:
    """`carried` for what some nodes write themselves."""
    return carried(traced.linear, [written(traced, node) for node in nodes])
