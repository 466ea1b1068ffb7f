"""Live: what a small change of a node does where the graph holds something still.

An edge holds attention patterns and denominators. What it leaves out is, to first order, what its
source does to scores and to denominators: the derivative of the target by the source with these
live, times what the source writes, less the edge. (With other MLPs live as well the same derivative
is attribution patching: Nanda 2023; Syed et al. 2023, "Attribution Patching Outperforms Automated
Circuit Discovery".)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tomogram.circuits.graph.experiments import Held, at_once, interventions, readers, written
from tomogram.circuits.graph.trace import Traced
from tomogram.models.sites import Site

WITHIN = 0.25
"""By which share of the stream a source may be changed and the model still be itself."""
_ROWS = 16


def derivatives(traced: Traced, pairs: Sequence[tuple[int, int]], held: Held) -> list[float]:
    """Of each (source, target), what the source's writes are worth to the target, to first order.

    Args:
        held: "direct" holds other MLPs alone, "nothing" nothing.
    """
    found = np.zeros(len(pairs))
    sources, targets = (np.array([pair[i] for pair in pairs], int) for i in (0, 1))
    every = np.unique(targets)
    # A run that is differentiated keeps what every layer made.
    size = at_once(traced, layers=traced.model.n_layers, most=_ROWS)
    for start in range(0, len(every), size):
        some = every[start : start + size]
        slopes = _slopes(traced, some.tolist(), held)
        for number in np.flatnonzero(np.isin(targets, some)):
            row = int(np.searchsorted(some, targets[number]))
            found[number] = sum(
                float(slopes[site][row, position].double() @ vector.double())
                for site, position, vector in written(traced, int(sources[number]))
            )
    return found.tolist()


@torch.no_grad()
def steps(
    traced: Traced, groups: Sequence[Sequence[int]], *, within: float = WITHIN
) -> list[float]:
    """How much of each group of sources to take away: all of it, or as much as `within` of the
    stream that it writes to, in norm, where that is less.

    Without the embedding of a token, or half of it, little is left of the stream at its position:
    denominators fall, whatever else is there grows, and the model is no longer itself.
    """
    model = traced.model
    streams = {Site("mlp_out", layer): Site("resid_post", layer) for layer in range(model.n_layers)}
    streams |= dict.fromkeys((Site("embed"), Site("pos_embed")), Site("resid_pre", 0))
    run = model.run(traced.linear.frozen.tokens[None], capture=set(streams.values()), logits=False)
    found = []
    for group in groups:
        at: dict[tuple[Site, int], Tensor] = {}
        for site, position, vector in (each for one in group for each in written(traced, one)):
            at[site, position] = at.get((site, position), 0) + vector
        shares = [
            float(vector.norm() / run[streams[site]][0, position].norm())
            for (site, position), vector in at.items()
        ]
        largest = max(shares, default=0.0)
        found.append(min(1.0, within / largest) if largest else 1.0)
    return found


def _slopes(traced: Traced, targets: Sequence[int], held: Held) -> dict[Site, Tensor]:
    """The derivative of each target by everything that is written: [row pos d_model] a site."""
    model, frozen = traced.model, traced.linear.frozen
    sites = [Site("mlp_out", layer) for layer in range(model.n_layers)]
    sites += [site for site in (Site("embed"), Site("pos_embed")) if site in model.sites]
    with torch.enable_grad():
        more = {
            site: frozen.like.new_zeros(len(targets), *frozen.like.shape, requires_grad=True)
            for site in sites
        }
        read = readers(traced, targets, held)
        capture = {site for site, _ in read}
        run = model.run(
            frozen.tokens.expand(len(targets), -1),
            capture=capture,
            interventions=interventions(traced, more, held),
            logits=Site("logits") in capture,
        )
        values = [function(run[site][row].double()) for row, (site, function) in enumerate(read)]
        slopes = torch.autograd.grad(
            torch.stack(values).sum(), [more[site] for site in sites], allow_unused=True
        )
    return {
        site: torch.zeros_like(more[site]) if slope is None else slope
        for site, slope in zip(sites, slopes, strict=True)
    }
