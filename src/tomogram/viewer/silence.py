"""Silence: neurons of a graph silenced or scaled in the model itself, and what it says then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tomogram.circuits.graph.graph import NEURON, Graph
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.report.tokens import visible
from tomogram.store.errors import TomogramError

_TOLD = 8


@torch.no_grad()
def silence(model: Model, graph: Graph, nodes: Sequence[int], factor: float) -> dict[str, Any]:
    """The likeliest next tokens as the model is, and with neurons times a factor at their places.

    Attention, norms and all other neurons are live.

    Args:
        nodes: numbers of neurons in the graph. factor: 0 silences them.

    Raises:
        TomogramError: the graph is of another model, a node is no neuron of it, or the factor is
            not finite.
    """
    if graph.digest != model.digest:
        raise TomogramError("The graph was drawn from another model than the scanned one.")
    if not math.isfinite(factor):
        raise TomogramError("A factor is a finite number.")
    places: dict[int, list[tuple[int, int]]] = {}
    for node in nodes:
        if not 0 <= node < len(graph.nodes) or graph.nodes.kind[node] != NEURON:
            raise TomogramError("Only neurons of the graph can be changed here.")
        place = int(graph.nodes.position[node]), int(graph.nodes.unit[node])
        places.setdefault(int(graph.nodes.layer[node]), []).append(place)

    def scaled(own: list[tuple[int, int]]) -> Intervention:
        def change(value: Tensor) -> Tensor:
            for position, unit in own:
                value[0, position, unit] *= factor
            return value

        return change

    tokens = torch.tensor([graph.tokens], device=model.device)
    changes = {Site("neurons", layer): scaled(own) for layer, own in places.items()}
    chances = []
    for interventions in ({}, changes):
        logits = model.run(tokens, interventions=interventions).logits
        assert logits is not None
        if not bool(torch.isfinite(logits[0, -1]).all()):
            raise TomogramError(f"{visible(model.name)} overflows with neurons times {factor:g}.")
        chances.append(logits[0, -1].float().softmax(-1))
    before, after = chances
    # The likeliest of either, in the order of whichever made them likely.
    order = torch.maximum(before, after).topk(min(_TOLD, len(before))).indices
    return {
        "tokens": order.tolist(),
        "before": [round(float(before[i]), 6) for i in order],
        "after": [round(float(after[i]), 6) for i in order],
    }
