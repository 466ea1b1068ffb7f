"""Anatomy: how many parameters each part of a model has."""

from __future__ import annotations

from operator import attrgetter

from torch import nn

from tomogram.models.model import Model
from tomogram.models.structure import Structure
from tomogram.store.schema import LayerParameters, Parameters


def parameters(model: Model) -> Parameters:
    """Parameters by component and layer; they add up to the module's own count.

    A tied unembedding is counted once, as embedding. Norms inside attention (Qwen 3) count as
    attention, routers and experts as MLP, and what no component claims as `other`.
    """
    wiring = model.wiring
    counter = _Counter()
    embedding = counter.count(wiring.embed)
    positions = counter.count(wiring.pos_embed)
    layers = tuple(_layer(block.module, wiring.structure, counter) for block in wiring.blocks)
    final_norm = counter.count(wiring.final_norm)
    unembedding = counter.count(wiring.unembed)
    other = counter.count(model.module)
    return Parameters(
        total=sum(p.numel() for p in model.module.parameters()),
        embedding=embedding,
        unembedding=unembedding,
        positions=positions,
        final_norm=final_norm,
        other=other,
        layers=layers,
    )


class _Counter:
    """Counts parameters of modules, each parameter only the first time it is met."""

    def __init__(self) -> None:
        self._met: set[int] = set()

    def count(self, *modules: nn.Module | None) -> int:
        new = {
            id(p): p.numel()
            for module in modules
            if module is not None
            for p in module.parameters()
            if id(p) not in self._met
        }
        self._met |= new.keys()
        return sum(new.values())


def _layer(block: nn.Module, structure: Structure, counter: _Counter) -> LayerParameters:
    paths = (
        structure.attention_norm,
        structure.attention_post_norm,
        structure.mlp_norm,
        structure.mlp_post_norm,
    )
    norms = counter.count(*(attrgetter(path)(block) for path in paths if path is not None))
    attention = counter.count(attrgetter(structure.attention)(block))
    # The loader has recognised every module of the block, so what is left is the MLP.
    return LayerParameters(attention=attention, mlp=counter.count(block), norms=norms)
