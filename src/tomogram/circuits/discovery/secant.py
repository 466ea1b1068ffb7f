"""Secant: every part's gradient averaged along the line between what it reads in the two runs.

A gradient says what an infinitesimal change does; a part that is saturated on both prompts but goes
from one plateau to another between them (a hard threshold, a sharp attention) has none. Averaged
along the straight line from what the part reads on the counterfactual prompt to what it reads on
the clean one, its Jacobian maps the change of its input exactly to the change of its output: the
integrated gradients of Sundararajan et al. 2017, taken part by part as DeepLIFT's multipliers are
(Shrikumar et al. 2017), and chained backwards. So the scores of all edges into the logits add up to
the difference of the metric between the prompts, and so on at every node.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.gradients import by_edge
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import Separated, Writes, run_separated, writes
from tomogram.models.model import Model

STEPS = 8
"""Points on the line, in the middles of equal parts."""


def secant(
    model: Model, graph: EdgeGraph, batch: Batch, *, steps: int = STEPS
) -> Float[Tensor, "pair writer reader"]:
    """Edge scores by path-averaged Jacobians of every head and MLP."""
    clean, other = (writes(model, graph, each) for each in (batch.clean, batch.counterfactual))
    gradients = _backwards(model, graph, batch, clean, other, steps)
    return by_edge(graph, other.written - clean.written, gradients)


def _backwards(
    model: Model, graph: EdgeGraph, batch: Batch, clean: Writes, other: Writes, steps: int
) -> Float[Tensor, "pair reader pos d_model"]:
    """Run every part on the points of its own line, and hand the metric's gradient back."""
    points = (torch.arange(steps, dtype=model.dtype, device=model.device) + 0.5) / steps
    leaves: dict[int, Tensor] = {}

    def between(ends: tuple[Tensor, Tensor]) -> Tensor:
        line = torch.lerp(ends[1][:, None], ends[0][:, None], points[:, None, None])
        return line.flatten(0, 1)

    def reads(readers: slice, state: Separated) -> Tensor:
        layer, place = divmod(readers.start, graph.reads + 1)
        if layer == graph.n_layers:
            value = between((clean.last, other.last))
        elif place == graph.reads:
            value = between((clean.mlp_in[layer], other.mlp_in[layer]))
        else:
            value = between((clean.attn_in[layer], other.attn_in[layer]))
        count = readers.stop - readers.start
        leaf = value[:, None].expand(-1, count, -1, -1).contiguous().requires_grad_()
        leaves[readers.start] = leaf
        return leaf

    rows = batch.repeated(steps)
    found = torch.zeros(
        len(batch.rows), len(graph.readers), *clean.last.shape[1:], dtype=model.dtype
    ).to(model.device)

    def mean(gradient: Tensor) -> Tensor:
        return gradient.unflatten(0, (-1, steps)).mean(1)

    with torch.enable_grad():
        state = run_separated(model, graph, rows.clean, reads)
        assert state.last is not None
        last = len(graph.readers) - 1
        total = metric(model, rows, state.last).sum()
        found[:, last:] = mean(torch.autograd.grad(total, leaves[last])[0])
        # What all later readers make of one more unit in the stream.
        onward = found[:, last]
        for layer in reversed(range(graph.n_layers)):
            place, readers = graph.mlp_reader(layer), graph.head_readers(layer)
            written = state.written[2 + 2 * layer], state.written[1 + 2 * layer]
            found[:, place : place + 1] = mean(_pulled(written[0], leaves[place], onward, steps))
            after = onward if graph.parallel[layer] else onward + found[:, place]
            found[:, readers] = mean(_pulled(written[1], leaves[readers.start], after, steps))
            onward = onward + found[:, place] + found[:, readers].sum(1)
    return found


def _pulled(output: Tensor, leaf: Tensor, onward: Tensor, steps: int) -> Tensor:
    """The gradient by a part's input of its output along `onward`, point by point."""
    direction = onward.repeat_interleave(steps, 0)[:, None].expand_as(output)
    return torch.autograd.grad(output, leaf, direction)[0]
