"""Faithful: what the model still does when it has nothing but a part of its graph.

f(C) = (m(C) − m(∅)) / (m(N) − m(∅)) of MIB (Mueller et al. 2025, section 3): m is the value of the
target, C the nodes that are kept, N all of them. What is not kept does not write. Everything else
is live: attention, norms, and how far a kept unit fires. Kept errors are constants. Nodes are
counted, not edges, because between two nodes an edge runs through the stream and through heads and
cannot be cut alone in the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tomogram.circuits.graph.experiments import at_once, readers
from tomogram.circuits.graph.graph import ERROR, FEATURE, NEURON
from tomogram.circuits.graph.proof import Faithfulness
from tomogram.circuits.graph.scores import Pruned
from tomogram.circuits.graph.trace import Traced
from tomogram.circuits.graph.units import Features, Neurons
from tomogram.models.capture import Intervention
from tomogram.models.sites import Site

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def faithfulness(traced: Traced, pruned: Pruned) -> Faithfulness:
    """How much of the target's value the pruned graph alone gives, and so do growing parts of it.

    Parts are taken by influence; what has no node in the graph comes last. CPR and CMD are the
    areas under f and |1 − f| over the share of nodes, as MIB has them.
    """
    linear = traced.linear
    places = linear.n_units + len(linear.frozen.blocks) * linear.frozen.n_pos
    writers = traced.graph.nodes.of(FEATURE, NEURON, ERROR)
    mine = np.flatnonzero(writers)
    order = mine[np.argsort(-pruned.influence[mine], kind="stable")]
    first = traced.sources[order]
    ranked = np.concatenate([first, np.setdiff1d(np.arange(places), first)])
    masks = [np.zeros(places, bool), np.ones(places, bool), np.zeros(places, bool)]
    kept = traced.sources[np.flatnonzero(writers & pruned.nodes)]
    masks[2][kept] = True
    for share in SHARES[:-1]:
        some = np.zeros(places, bool)
        some[ranked[: max(1, round(share * places))]] = True
        masks.append(some)
    empty, full, part, *growing = values(traced, masks)
    whole = full - empty

    def f(value: float) -> float:
        return (value - empty) / whole if whole else float("nan")

    curve = [f(value) for value in growing] + [1.0]
    x = np.array([0.0, *SHARES])
    y = np.array([0.0, *curve])
    return Faithfulness(
        full=full,
        empty=empty,
        kept=float(masks[2].mean()),
        value=f(part),
        shares=SHARES,
        curve=tuple(curve),
        cpr=float(np.trapezoid(y, x)),
        cmd=float(np.trapezoid(np.abs(1 - y), x)),
    )


@torch.no_grad()
def values(traced: Traced, masks: Sequence[Bool[np.ndarray, " writers"]]) -> list[float]:
    """The target's value with nothing but some writers: units, then errors, as `Linear` numbers
    them. Several targets count by their weights."""
    frozen, graph = traced.linear.frozen, traced.graph
    read = readers(traced, list(graph.targets), "nothing")
    weights = np.array(graph.weights) / sum(graph.weights)
    size = at_once(traced, most=16)
    found: list[float] = []
    for start in range(0, len(masks), size):
        some = torch.from_numpy(np.stack(masks[start : start + size])).to(frozen.like.device)
        run = traced.model.run(
            frozen.tokens.expand(len(some), -1),
            capture={site for site, _ in read},
            interventions=_only(traced, some),
        )
        for row in range(len(some)):
            each = [float(function(run[site][row].double())) for site, function in read]
            found.append(float(weights @ each))
    return found


def _only(traced: Traced, masks: Bool[Tensor, "rows writers"]) -> dict[Site, Intervention]:
    """What silences every writer but those of each row's mask."""
    linear = traced.linear
    frozen, explained = linear.frozen, linear.explained
    fires: dict[int, Float[Tensor, "rows size"]] = {}
    read: dict[int, Tensor] = {}
    actions: dict[Site, Intervention] = {}

    def listen(layer: int) -> Intervention:
        def keep(x: Tensor) -> Tensor:
            read[layer] = x
            for number, group in enumerate(explained.groups):
                if group.layer != layer or not isinstance(group, Features):
                    continue
                mine = masks[:, linear.offsets[number] : linear.offsets[number + 1]]
                score = (x[:, group.at] * group.weight).sum(-1) + group.bias
                # A latent that is kept fires as it now scores, and never less than not at all.
                fires[number] = mine * (score / group.value).clamp_min(0)
            return x

        return keep

    def silence(number: int) -> Intervention:
        mine = masks[:, linear.offsets[number] : linear.offsets[number + 1]]

        def put(value: Tensor) -> Tensor:
            return value * mine.view(value.shape).to(value.dtype)

        return put

    def write(layer: int) -> Intervention:
        first = linear.n_units + layer * frozen.n_pos
        errors = masks[:, first : first + frozen.n_pos, None] * explained.errors[layer]

        def put(value: Tensor) -> Tensor:
            new = explained.constants[layer] + errors
            for number, each in explained.writes[layer]:
                group = explained.groups[number]
                assert isinstance(group, Features)
                every = torch.arange(group.size, device=new.device)
                added = fires[number][..., None] * each.vectors(every)
                new = new.index_add(1, group.at, added.to(new.dtype))
            for skip in explained.skips:
                if skip.writes == layer:
                    new = new + read[skip.reads].to(new.dtype) @ skip.weight.T
            return new.to(value.dtype)

        return put

    for layer in range(len(frozen.blocks)):
        own = [(n, explained.groups[n]) for n, _ in explained.writes[layer]]
        neurons = [number for number, group in own if isinstance(group, Neurons)]
        if neurons:
            actions[Site("neurons", layer)] = silence(neurons[0])
        else:
            actions[Site("mlp_in", layer)] = listen(layer)
            actions[Site("mlp_out", layer)] = write(layer)
    return actions
