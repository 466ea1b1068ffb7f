"""Gradients of the metric by the stream of every reader, in one run with separate streams."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch
from tomogram.circuits.discovery.streams import Norm, Separated, plain, run_separated
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site


def reader_gradients(
    model: Model,
    graph: EdgeGraph,
    batch: Batch,
    *,
    norm: Norm = plain,
    interventions: Mapping[Site, Intervention] | None = None,
) -> Float[Tensor, "pair reader pos d_model"]:
    """∂m/∂(stream of each reader) on the clean prompts, as `run_separated` runs them."""
    return gradients_and_writes(model, graph, batch, norm=norm, interventions=interventions)[0]


def gradients_and_writes(
    model: Model,
    graph: EdgeGraph,
    batch: Batch,
    *,
    norm: Norm = plain,
    interventions: Mapping[Site, Intervention] | None = None,
) -> tuple[Float[Tensor, "pair reader pos d_model"], Float[Tensor, "pair writer pos d_model"]]:
    """`reader_gradients`, and what each writer wrote in the same run."""
    length = batch.clean.shape[1]
    shape = (len(batch.rows), len(graph.readers), length, model.d_model)
    probes = torch.zeros(shape, dtype=model.dtype, device=model.device, requires_grad=True)

    def reads(readers: slice, state: Separated) -> Tensor:
        assert state.stream is not None
        return state.stream[:, None] + probes[:, readers]

    with torch.enable_grad():
        state = run_separated(
            model, graph, batch.clean, reads, norm=norm, interventions=interventions
        )
        assert state.last is not None
        total = metric(model, batch, state.last, norm=norm).sum()
        return torch.autograd.grad(total, probes)[0], torch.cat(state.written, 1).detach()


def by_edge(
    graph: EdgeGraph,
    change: Float[Tensor, "pair writer pos d_model"],
    gradients: Float[Tensor, "pair reader pos d_model"],
) -> Float[Tensor, "pair writer reader"]:
    """The first-order effect on m of sending each writer's change along each of its edges."""
    scores = torch.einsum("bwpd,brpd->bwr", change, gradients)
    return scores * torch.from_numpy(graph.possible).to(scores)


def instead(point: Tensor) -> Intervention:
    """Gives a value of the caller's in the place of the run's own."""
    return lambda value: point
