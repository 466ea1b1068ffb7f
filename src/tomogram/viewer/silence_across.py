"""Silence across: features of a cross-layer transcoder, which write to several layers.

A latent of layer l reads that layer's MLP input alone, so its activation in a changed run is known
as soon as that layer is reached, before anything it writes to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.graph.graph import Graph
from tomogram.dictionaries.layered import Layered
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site

SAME = 1e-2
"""How far a feature may be from its value in the graph, as a share of it."""


def fits(
    model: Model,
    graph: Graph,
    tokens: Tensor,
    dictionary: Layered,
    features: Mapping[int, list[int]],
) -> bool:
    """Whether features, by layer, fire in this dictionary as they do in the graph."""
    reads = {site.layer: place for place, site in enumerate(dictionary.shape.reads)}
    places = {*dictionary.shape.reads, *dictionary.shape.writes}
    if not places <= set(model.sites) or any(layer not in reads for layer in features):
        return False
    run = model.run(tokens, capture=dictionary.shape.reads, logits=False)
    for layer, nodes in features.items():
        latents = _of_layer(dictionary, reads[layer], run[dictionary.shape.reads[reads[layer]]][0])
        for node in nodes:
            unit, value = int(graph.nodes.unit[node]), float(graph.nodes.value[node])
            position = int(graph.nodes.position[node])
            now = float(latents[position, unit]) if unit < dictionary.block else math.nan
            if not abs(now - value) <= SAME * abs(value):
                return False
    return True


def rewritten(
    graph: Graph, dictionary: Layered, features: Mapping[int, list[int]], factor: float
) -> dict[Site, Intervention]:
    """What features, by layer, write to their own layer and all later ones, times a factor.

    Activations are those of the changed run.
    """
    seen: dict[int, Tensor] = {}
    actions: dict[Site, Intervention] = {}

    def read(place: int) -> Intervention:
        def keep(value: Tensor) -> Tensor:
            seen[place] = _of_layer(dictionary, place, value[0])
            return value

        return keep

    def write(place: int) -> Intervention:
        part = slice(place * dictionary.width, (place + 1) * dictionary.width)

        def put(value: Tensor) -> Tensor:
            for number, nodes in listed.items():
                if number > place:
                    continue
                for node in nodes:
                    position, unit = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
                    row = dictionary.W_dec[number * dictionary.block + unit, part]
                    added = (factor - 1) * seen[number][position, unit] * row
                    value[0, position] += added.to(value.dtype)
            return value

        return put

    reads = {site.layer: place for place, site in enumerate(dictionary.shape.reads)}
    listed = {reads[layer]: nodes for layer, nodes in features.items()}
    for number in listed:
        actions[dictionary.shape.reads[number]] = read(number)
    for place, site in enumerate(dictionary.shape.writes):
        if place >= min(listed):
            actions[site] = write(place)
    return actions


def _of_layer(
    dictionary: Layered, place: int, read: Float[Tensor, "pos width"]
) -> Float[Tensor, "pos block"]:
    """Activations of the latents of one layer; those of other layers do not compete with them."""
    width, block = dictionary.width, dictionary.block
    x = read.new_zeros(len(read), dictionary.d_in).to(dictionary.W_enc.dtype)
    x[:, place * width : (place + 1) * width] = read
    return dictionary.encode(x).dense()[:, place * block : (place + 1) * block]
