"""Sensitivity: what a small constant push at a site does to the behaviour and to the text.

Both come from gradients of a vector δ that is added at a site, on every token or on some. With g
the gradient of the behaviour and F the Fisher information of a text's predictions, a push of s
along d changes the behaviour by s·gᵀd and costs ½·s²·dᵀFd nats of KL divergence a token, to the
leading order (Amari 1998, "Natural Gradient Works Efficiently in Learning", section 2). So
gᵀd / √(dᵀFd) ranks directions by how much behaviour they buy at equal cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says, continued, margin
from tomogram.steering.contrast import by_length
from tomogram.steering.positions import Pass, Where, everywhere
from tomogram.text.packing import PackedText

RIDGE = 0.01


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """At one site: g, and F a token."""

    gradient: Float[Tensor, " d"]
    fisher: Float[Tensor, "d d"]

    def worth(self, directions: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Behaviour bought at equal cost along each direction, up to one common factor."""
        return (directions @ self.gradient) / self.price(directions).sqrt()

    def price(self, directions: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """dᵀFd of each direction."""
        found = ((directions @ self.fisher) * directions).sum(1)
        return found.clamp_min(torch.finfo(found.dtype).tiny)


def gradients(
    model: Model, behaviour: Says, sites: Sequence[Site], where: Where = everywhere
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
            pushes, actions = _pushes(model, sites, tokens, where)
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
    where: Where = everywhere,
    *,
    batch_rows: int = 16,
    draws: int = 1,
    seed: int = 0,
) -> dict[Site, Float[Tensor, "d d"]]:
    """The Fisher information a token of a text's predictions, by a push at each site.

    Tokens are drawn from the model's own predictions, so that each row's score has mean zero and
    its square is an unbiased estimate. A hundredth of its mean eigenvalue is added to each, because
    few rows say little about most directions.
    """
    generator = torch.Generator().manual_seed(seed)
    total: dict[Site, Tensor] = {}
    for start in [s for _ in range(draws) for s in range(0, text.rows, batch_rows)]:
        tokens = torch.from_numpy(text.tokens[start : start + batch_rows].astype(np.int64))
        with torch.enable_grad():
            pushes, actions = _pushes(model, sites, tokens, where)
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
    return {site: _ridged(each / (text.n_tokens * draws)) for site, each in total.items()}


def _ridged(fisher: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    return fisher + RIDGE * fisher.trace() / len(fisher) * torch.eye(len(fisher)).to(fisher)


def _pushes(
    model: Model, sites: Sequence[Site], tokens: Int[Tensor, "batch pos"], where: Where
) -> tuple[dict[Site, Tensor], dict[Site, Intervention]]:
    """A zero to add at each site, one a row, and the interventions that add it on some tokens."""
    positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
    mask = where(Pass(tokens, positions, True)).to(model.device, model.dtype)[..., None]
    pushes = {
        site: torch.zeros(
            len(tokens), 1, model.d_model, device=model.device, dtype=model.dtype,
            requires_grad=True,
        )
        for site in sites
    }  # fmt: skip
    return pushes, {site: _adding(push, mask) for site, push in pushes.items()}


def _adding(push: Tensor, mask: Tensor) -> Intervention:
    return lambda value: value + push * mask
