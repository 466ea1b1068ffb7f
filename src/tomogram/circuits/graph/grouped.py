"""Grouped: what supernodes do to the target, all their units taken away together.

A sum of edges says nothing of whether a group acts as one. So the units of each are taken away at
once in the original model, beside what they are worth together to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from tomogram.circuits.graph.experiments import at_once, changed, readers
from tomogram.circuits.graph.graph import Supernode
from tomogram.circuits.graph.live import derivatives, steps
from tomogram.circuits.graph.proof import Group, agreement
from tomogram.circuits.graph.scores import Pruned
from tomogram.circuits.graph.trace import Traced

MOST = 24


def grouped(
    traced: Traced, supernodes: Sequence[Supernode], pruned: Pruned, *, most: int = MOST
) -> Traced:
    """The same graph with its supernodes, and with those of most influence measured.

    A graph without a proof is given its supernodes alone.
    """
    graph = replace(traced.graph, supernodes=tuple(supernodes))
    if graph.proof is None:
        return replace(traced, graph=graph)
    worth = [float(pruned.influence[list(each.nodes)].sum()) for each in supernodes]
    order = np.argsort(-np.array(worth), kind="stable")[:most]
    found = _measured(traced, [supernodes[number].nodes for number in order])
    proof = replace(
        graph.proof,
        groups=tuple(found),
        groups_live=agreement(
            [each.predicted for each in found], [each.measured for each in found]
        ),
    )
    return replace(traced, graph=replace(graph, proof=proof))


@torch.no_grad()
def _measured(traced: Traced, groups: Sequence[tuple[int, ...]]) -> list[Group]:
    target = traced.graph.targets.start
    units = sorted({node for group in groups for node in group})
    slopes = derivatives(traced, [(node, target) for node in units], "nothing")
    slope = dict(zip(units, slopes, strict=True))
    within = steps(traced, groups)
    ((site, read),) = readers(traced, [target], "nothing")
    measured: list[float] = []
    size = at_once(traced)
    for start in range(0, len(groups), size):
        part = zip(groups[start : start + size], within[start : start + size], strict=True)
        changes = [(group, -step) for group, step in part]
        value = changed(traced, changes, "nothing", {site})[site]
        whole = float(read(value[-1].double()))
        measured += [
            (whole - float(read(value[row].double()))) / -factor
            for row, (_, factor) in enumerate(changes)
        ]
    return [
        Group(group, sum(slope[node] for node in group), effect, step)
        for group, effect, step in zip(groups, measured, within, strict=True)
    ]
