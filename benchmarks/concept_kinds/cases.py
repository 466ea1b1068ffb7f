"""The kinds and shapes that are trained, with the sizes of the standard scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import (
    Shape,
    autoencoder,
    cross_layer_transcoder,
    crosscoder,
    transcoder,
)
from tomogram.dictionaries.topk import TopK
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.plan import PLANS, fitted

Make = Callable[[Shape, int, int], Dictionary]


def _halves(shape: Shape, latents: int, k: int) -> Dictionary:
    prefixes = [latents // 8, latents // 4, latents // 2, latents]
    return Matryoshka(shape, latents, k=k, prefixes=prefixes)


KINDS: Mapping[str, Make] = {
    "topk": lambda shape, latents, k: TopK(shape, latents, k=k),
    "batch_topk": lambda shape, latents, k: BatchTopK(shape, latents, k=k),
    "matryoshka": _halves,
    "jumprelu": lambda shape, latents, k: JumpReLU(shape, latents, target_l0=k),
}
"""The kinds that are told how many latents fire, with the k of the scan."""

PENALTIES: Mapping[str, Mapping[str, float]] = {
    "autoencoder": {"gated": 0.5, "relu": 0.27},
    "transcoder": {"gated": 0.4, "relu": 0.2},
    "skip transcoder": {"gated": 0.28, "relu": 0.12},
    "crosscoder": {"gated": 0.55, "relu": 0.3},
}
"""The weights of the penalties of the others by shape, so that about as many fire. They were read
off short trainings (123,000 tokens, one place a shape) by the L0 alone."""


@dataclass(frozen=True)
class Case:
    """Dictionaries of one kind and one shape, one a place in the model.

    name: `SHAPE, KIND`.
    """

    name: str
    dictionaries: tuple[Dictionary, ...]


def cases(model: Model) -> tuple[Case, ...]:
    """All of them: untrained, of the sizes that the standard scan gives this model."""
    plan = fitted(PLANS["standard"], model)
    latents = plan.expansion * model.d_model
    found = []
    for shape, places in _shapes(model).items():
        for kind, make in KINDS.items():
            made = tuple(make(place, latents, plan.k) for place in places)
            found.append(Case(f"{shape}, {kind}", made))
        for kind, penalised in (("gated", Gated), ("relu", ReLU)):
            weight = PENALTIES[shape][kind]
            made = tuple(penalised(place, latents, sparsity=weight) for place in places)
            found.append(Case(f"{shape}, {kind}", made))
    layers = model.n_layers
    across = cross_layer_transcoder(layers, model.d_model)
    topk = CrossLayer(across, layers * latents, k=plan.k)
    jumprelu = CrossLayerJumpReLU(across, layers * latents, target_l0=layers * plan.k)
    found.append(Case("cross-layer transcoder, topk", (topk,)))
    found.append(Case("cross-layer transcoder, jumprelu", (jumprelu,)))
    return tuple(found)


def _shapes(model: Model) -> dict[str, list[Shape]]:
    width, layers = model.d_model, range(model.n_layers)
    stream = [Site("resid_pre", 0), *(Site("resid_post", layer) for layer in layers)]
    return {
        "autoencoder": [autoencoder(site, width) for site in stream],
        "transcoder": [transcoder(layer, width) for layer in layers],
        "skip transcoder": [transcoder(layer, width, skip=True) for layer in layers],
        "crosscoder": [crosscoder(stream[1:], width)],
    }
