"""Turned: features of a graph that write a multiple of what they write in the running model.

A latent reads its own layer's MLP input alone, whether it is of a transcoder of one layer or of one
across layers, so its activation in a changed run is known before anything it writes to is reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.graph.graph import Graph
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.layered import Layered
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site

_SAME = 1e-2
"""How far a feature may be from its value in the graph, as a share of it."""


@dataclass(frozen=True, eq=False)
class LayerOfFeatures:
    """The latents of a dictionary that read one layer.

    place: number of that layer among those the dictionary reads.
    """

    dictionary: Dictionary
    place: int

    @property
    def layer(self) -> int | None:
        """The layer they read."""
        return self.read.layer

    @property
    def read(self) -> Site:
        """Where they read."""
        return self.dictionary.shape.reads[self.place]

    @property
    def units(self) -> int:
        """How many there are."""
        own = self.dictionary
        return own.block if isinstance(own, Layered) else own.d_dict

    def active(self, read: Float[Tensor, "pos width"]) -> Float[Tensor, "pos units"]:
        """Their activations; latents of other layers do not compete with them."""
        own = self.dictionary
        if not isinstance(own, Layered):
            return own.encode(read).dense()
        x = read.new_zeros(len(read), own.d_in).to(own.W_enc.dtype)
        x[:, self.place * own.width : (self.place + 1) * own.width] = read
        return own.encode(x).dense()[:, self.place * own.block : (self.place + 1) * own.block]

    def rows(self) -> dict[Site, Float[Tensor, "units width"]]:
        """What each writes at full strength, by site."""
        own = self.dictionary
        if not isinstance(own, Layered):
            return {own.write: own.W_dec}
        mine = own.W_dec[self.place * own.block : (self.place + 1) * own.block]
        parts = mine.split(own.width, dim=1)
        return dict(zip(own.shape.writes[self.place :], parts[self.place :], strict=True))


def layers_of_features(
    model: Model, dictionaries: Sequence[Dictionary]
) -> list[list[LayerOfFeatures]]:
    """The transcoders of a model that could be what a graph was drawn with: each one across layers
    by itself, then those of one layer together."""
    across, single = [], []
    for each in dictionaries:
        shape = each.shape
        if not {*shape.reads, *shape.writes} <= set(model.sites):
            continue
        if isinstance(each, Layered):
            across.append([LayerOfFeatures(each, place) for place in range(each.n_layers)])
        elif (
            not shape.is_autoencoder
            and len(shape.reads) == len(shape.writes) == 1
            and (each.read.kind, each.write.kind) == ("mlp_in", "mlp_out")
            and each.read.layer == each.write.layer
        ):
            single.append(LayerOfFeatures(each, 0))
    return [*across, single]


def fire_as_drawn(
    model: Model,
    graph: Graph,
    tokens: Tensor,
    layers: Mapping[int, LayerOfFeatures],
    features: Mapping[int, Sequence[int]],
) -> bool:
    """Whether nodes of a graph, by layer, are these features: they fire as strongly."""
    run = model.run(tokens, capture=[layers[layer].read for layer in features], logits=False)
    for layer, nodes in features.items():
        own = layers[layer]
        latents = own.active(run[own.read][0])
        for node in nodes:
            unit, value = int(graph.nodes.unit[node]), float(graph.nodes.value[node])
            position = int(graph.nodes.position[node])
            now = float(latents[position, unit]) if unit < own.units else math.nan
            if not abs(now - value) <= _SAME * abs(value):
                return False
    return True


def turned(
    graph: Graph,
    layers: Mapping[int, LayerOfFeatures],
    features: Mapping[int, Sequence[int]],
    factor: float,
) -> dict[Site, Intervention]:
    """What nodes of a graph, by layer, write, times a factor, as they fire in the changed run."""
    seen: dict[int, Tensor] = {}
    rows: dict[Site, list[tuple[int, Tensor]]] = {}
    actions: dict[Site, Intervention] = {}

    def read(layer: int) -> Intervention:
        def keep(value: Tensor) -> Tensor:
            seen[layer] = layers[layer].active(value[0])
            return value

        return keep

    def write(parts: Sequence[tuple[int, Tensor]]) -> Intervention:
        def put(value: Tensor) -> Tensor:
            for layer, row in parts:
                for node in features[layer]:
                    position, unit = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
                    added = (factor - 1) * seen[layer][position, unit] * row[unit]
                    value[0, position] += added.to(value.dtype)
            return value

        return put

    for layer in features:
        actions[layers[layer].read] = read(layer)
        for site, row in layers[layer].rows().items():
            rows.setdefault(site, []).append((layer, row))
    return actions | {site: write(parts) for site, parts in rows.items()}
