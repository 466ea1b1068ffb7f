"""Sensitivity: what a small constant push at a site does to the behaviour and to the text.

Both come from gradients of a vector δ that is added at every token of a site. With g the gradient
of the behaviour and F the Fisher information of a text's predictions, a push of s along d changes
the behaviour by s·gᵀd and costs ½·s²·dᵀFd nats of KL divergence a token, to the leading order
(Amari 1998, "Natural Gradient Works Efficiently in Learning", section 2). So gᵀd / √(dᵀFd) ranks
directions by how much behaviour they buy at equal cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says, continued, margin
from tomogram.steering.contrast import by_length
from tomogram.text.packing import PackedText


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """At one site: g, and F a token."""

    gradient: Float[Tensor, " d"]
    fisher: Float[Tensor, "d d"]

    def worth(self, directions: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Behaviour bought at equal cost along each direction, up to one common factor."""
        return (directions @ self.gradient) / self.price(directions).sqrt()

    def price(self, directions: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """dᵀFd of each direction; at least a millionth of the largest, which noise exceeds."""
        found = ((directions @ self.fisher) * directions).sum(1)
        return found.clamp_min(float(found.max()) * 1e-6 + torch.finfo(found.dtype).tiny)


def gradients(
    model: Model, behaviour: Says, sites: Sequence[Site]
) -> dict[Site, Float[Tensor, " d"]]:
    """The gradient of the mean log-odds of the accepted tokens by a push at each site.

    The place judged is reached by the model's own greedy tokens, which are held fixed.
    """
    prefix = continued(model, behaviour.prompts, behaviour.place - 1)
    prompts = [[*p, *more] for p, more in zip(behaviour.prompts, prefix, strict=True)]
    total: dict[Site, Tensor] = {}
    for indices in by_length(prompts):
        tokens = torch.tensor([prompts[i] for i in indices])
        with torch.enable_grad():
            pushes, actions = _pushes(model, sites, len(indices))
            logits = model.run(tokens, interventions=actions).logits
            assert logits is not None
            accepted = [behaviour.accepted[i] for i in indices]
            value = margin(logits[:, -1].float(), accepted) * len(indices) / len(prompts)
            found = torch.autograd.grad(value, [pushes[site] for site in sites])
        for site, each in zip(sites, found, strict=True):
            total[site] = total.get(site, 0) + each.sum((0, 1)).detach().float()
    return total


def fishers(
    model: Model,
    text: PackedText,
    sites: Sequence[Site],
    *,
    batch_rows: int = 16,
    draws: int = 1,
    seed: int = 0,
) -> dict[Site, Float[Tensor, "d d"]]:
    """The Fisher information a token of a text's predictions, by a push at each site.

    Tokens are drawn from the model's own predictions, so that each row's score has mean zero and
    its square is an unbiased estimate. More rows than the site is wide make it of full rank.
    """
    generator = torch.Generator().manual_seed(seed)
    total: dict[Site, Tensor] = {}
    for start in [s for _ in range(draws) for s in range(0, text.rows, batch_rows)]:
        tokens = torch.from_numpy(text.tokens[start : start + batch_rows].astype(np.int64))
        with torch.enable_grad():
            pushes, actions = _pushes(model, sites, len(tokens))
            logits = model.run(tokens, interventions=actions).logits
            assert logits is not None
            said = logits.float().log_softmax(-1).flatten(0, 1)
            chances = said.detach().exp().to(generator.device)
            drawn = torch.multinomial(chances, 1, generator=generator).to(said.device)
            found = torch.autograd.grad(
                said.gather(1, drawn).sum(), [pushes[site] for site in sites]
            )
        for site, each in zip(sites, found, strict=True):
            scores = each.detach().float().flatten(0, 1)
            total[site] = total.get(site, 0) + scores.T @ scores
    return {site: each / (text.n_tokens * draws) for site, each in total.items()}


def _pushes(
    model: Model, sites: Sequence[Site], rows: int
) -> tuple[dict[Site, Tensor], dict[Site, Intervention]]:
    """A zero to add at every token of each site, one a row, and the interventions that add it."""
    pushes = {
        site: torch.zeros(
            rows, 1, model.d_model, device=model.device, dtype=model.dtype, requires_grad=True
        )
        for site in sites
    }
    return pushes, {site: _adding(push) for site, push in pushes.items()}


def _adding(push: Tensor) -> Intervention:
    return lambda value: value + push
