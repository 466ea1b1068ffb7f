"""The shapes and kinds that are measured, and what each should find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.toys.planted import (
    ACTIVE,
    EARLY,
    FEATURES,
    LATE,
    TWO_MODELS,
    WIDTH,
    Crowded,
    CrowdedVarying,
    Layers,
    Varying,
    World,
)
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.paired import paired_shape
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import (
    Shape,
    autoencoder,
    cross_layer_transcoder,
    crosscoder,
    transcoder,
)
from tomogram.dictionaries.topk import TopK
from tomogram.evaluation.recovery import max_cosines

LATENTS = 2 * FEATURES
Make = Callable[[Shape], Dictionary]

KINDS: Mapping[str, Make] = {
    "relu": lambda shape: ReLU(shape, LATENTS, sparsity=0.3),
    "gated": lambda shape: Gated(shape, LATENTS, sparsity=0.6),
    "topk": lambda shape: TopK(shape, LATENTS, k=ACTIVE),
    "batch_topk": lambda shape: BatchTopK(shape, LATENTS, k=ACTIVE),
    "jumprelu": lambda shape: JumpReLU(
        shape, LATENTS, target_l0=ACTIVE, sparsity=0.05, bandwidth=0.3
    ),
    "matryoshka": lambda shape: Matryoshka(shape, LATENTS, k=ACTIVE, prefixes=(FEATURES, LATENTS)),
}
"""Every kind; only the penalties are set by hand, the rest follows from the data's sparsity."""

WITH_PATH: Mapping[str, Make] = {
    **KINDS,
    "relu": lambda shape: ReLU(shape, LATENTS, sparsity=0.05),
    "gated": lambda shape: Gated(shape, LATENTS, sparsity=0.1),
}
"""Beside a skip path, which explains most of the variance, a feature is worth less to the loss, and
the penalties must be less."""

CROSS_LAYER: Mapping[str, Make] = {
    "topk": lambda shape: CrossLayer(shape, 2 * LATENTS, k=ACTIVE),
    "jumprelu": lambda shape: CrossLayerJumpReLU(
        shape, 2 * LATENTS, target_l0=2 * ACTIVE, sparsity=0.05, bandwidth=0.3
    ),
}
"""The kinds that a cross-layer transcoder has."""


@dataclass(frozen=True)
class Case:
    """A shape, the kinds it comes in, its data by seed, and the rows it should find.

    truth: what each feature writes at the written sites, side by side in the units of the
        activations; it may depend on what the dictionary's skip path has taken over.
    """

    shape: Shape
    kinds: Mapping[str, Make]
    world: Callable[[int], World]
    truth: Callable[[World, Dictionary], Float[Tensor, "features d_out"]]


def _skip_truth(world: World, dictionary: Dictionary) -> Tensor:
    """What the skip path leaves to the latents: which part it takes is not determined by data."""
    assert dictionary.W_skip is not None
    reads = 10 * world.directions(0)
    writes = 0.1 * (world.directions(1) + world.directions(0) @ world.path)
    return writes - reads @ dictionary.W_skip.T


def _pair_truth(world: World, dictionary: Dictionary) -> Tensor:
    sides = [world.directions(i) * has[:, None] for i, has in enumerate(world.present)]
    return torch.cat(sides, dim=1)


def _layers_truth(world: World, dictionary: Dictionary) -> Tensor:
    early = torch.cat([world.directions(1), 5 * world.directions(2)], dim=1)
    late = torch.cat([torch.zeros(FEATURES, WIDTH), 5 * world.directions(4)], dim=1)
    return torch.cat([early, late])


CASES: Mapping[str, Case] = {
    "autoencoder": Case(
        autoencoder(EARLY, WIDTH), KINDS, World, lambda world, _: world.directions(0)
    ),
    "autoencoder, number varies": Case(
        autoencoder(EARLY, WIDTH), KINDS, Varying, lambda world, _: world.directions(0)
    ),
    "autoencoder, random directions": Case(
        autoencoder(EARLY, WIDTH), KINDS, Crowded, lambda world, _: world.directions(0)
    ),
    "autoencoder, random directions, number varies": Case(
        autoencoder(EARLY, WIDTH), KINDS, CrowdedVarying, lambda world, _: world.directions(0)
    ),
    "transcoder": Case(transcoder(0, WIDTH), KINDS, World, lambda world, _: world.directions(1)),
    "skip transcoder": Case(transcoder(1, WIDTH, skip=True), WITH_PATH, World, _skip_truth),
    "crosscoder over layers": Case(
        crosscoder([EARLY, LATE], WIDTH),
        KINDS,
        World,
        lambda world, _: torch.cat([10 * world.directions(0), 50 * world.directions(1)], dim=1),
    ),
    "crosscoder over models": Case(paired_shape(TWO_MODELS, WIDTH), KINDS, World, _pair_truth),
    "cross-layer transcoder": Case(
        cross_layer_transcoder(2, WIDTH), CROSS_LAYER, Layers, _layers_truth
    ),
}


def cosines(
    decoder: Float[Tensor, "latents d_out"], truth: Float[Tensor, "features d_out"]
) -> Float[Tensor, " features"]:
    """For each feature, its largest cosine to a latent's row (max cosine of Sharkey et al. 2022).

    Sites side by side count alike: a site's columns are divided by the root mean square of the
    truth there.
    """
    size = truth.view(len(truth), -1, WIDTH).square().mean((0, 2)).sqrt()
    scale = size.repeat_interleave(WIDTH).clamp_min(1e-12)
    return max_cosines(decoder / scale, truth / scale)
