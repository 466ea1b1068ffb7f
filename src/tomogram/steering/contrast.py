"""Contrast: directions from pairs of prompts that differ in what is to be steered.

Each way reads one site at the last token of every prompt:

* mean difference: mean(x⁺) − mean(x⁻) (Rimsky et al. 2024, "Steering Llama 2 via Contrastive
  Activation Addition", section 3);
* principal: the first right-singular vector of the differences x⁺ − x⁻ of the pairs, turned so that
  the mean difference points along it (Zou et al. 2023, "Representation Engineering", section 3.1:
  their signs drawn at random make the mean zero, which is the same as not centring);
* probe: the weights of a logistic regression that tells x⁺ from x⁻ (Li et al. 2023,
  "Inference-Time Intervention", section 3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.targets import Direction
from tomogram.store.errors import TomogramError

BATCH = 64
"""Prompts of one length in one forward pass."""

Ids = Sequence[int]


@dataclass(frozen=True)
class Pairs:
    """Prompts that show what is to be steered, and as many that do not, as token ids.

    Raises:
        TomogramError: there are fewer than two pairs, or a prompt has no token or no partner.
    """

    positive: tuple[tuple[int, ...], ...]
    negative: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.positive) != len(self.negative) or len(self.positive) < 2:
            raise TomogramError(
                f"Contrast pairs need two pairs or more, not {len(self.positive)} prompts beside"
                f" {len(self.negative)}."
            )
        if not all(self.positive + self.negative):
            raise TomogramError("A prompt needs at least one token.")


@dataclass(frozen=True, eq=False)
class Contrast:
    """Values of a site at the last token of the prompts of each side, in the order of the pairs."""

    site: Site
    positive: Float[Tensor, "pairs d"]
    negative: Float[Tensor, "pairs d"]


def contrasts(model: Model, pairs: Pairs, sites: Iterable[Site]) -> dict[Site, Contrast]:
    """What a model has at some sites at the end of each prompt of some pairs.

    Raises:
        TomogramError: the model lacks a site or cannot read a prompt, or a site is not one vector
            a token.
    """
    wanted = tuple(sites)
    positive, negative = (last_values(model, p, wanted) for p in (pairs.positive, pairs.negative))
    return {site: Contrast(site, positive[site], negative[site]) for site in wanted}


@torch.no_grad()
def last_values(
    model: Model, prompts: Sequence[Ids], sites: Iterable[Site]
) -> dict[Site, Float[Tensor, "prompts d"]]:
    """The float32 value of each site at each prompt's last token."""
    wanted = tuple(sites)
    found: dict[Site, dict[int, Tensor]] = {site: {} for site in wanted}
    for indices in by_length(prompts):
        tokens = torch.tensor([list(prompts[i]) for i in indices])
        run = model.run(tokens, capture=wanted, logits=False)
        for site in wanted:
            if run[site].ndim != 3:
                raise TomogramError(f"{site} is not one vector a token.")
            for i, row in zip(indices, run[site][:, -1].float(), strict=True):
                found[site][i] = row
    order = range(len(prompts))
    return {site: torch.stack([rows[i] for i in order]) for site, rows in found.items()}


def by_length(prompts: Sequence[Ids]) -> list[list[int]]:
    """Numbers of prompts of one length, at most `BATCH` together, so that nothing is padded."""
    groups: dict[int, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        groups[len(prompt)].append(i)
    return [
        members[start : start + BATCH]
        for members in groups.values()
        for start in range(0, len(members), BATCH)
    ]


def mean_difference(contrast: Contrast) -> Direction:
    """From the mean of the negative prompts to the mean of the positive ones."""
    difference = contrast.positive.mean(0) - contrast.negative.mean(0)
    return Direction(contrast.site, difference, "mean difference")


def principal(contrast: Contrast) -> Direction:
    """The axis along which the pairs differ most, towards the positive side."""
    differences = contrast.positive - contrast.negative
    axis = torch.linalg.svd(differences, full_matrices=False).Vh[0]
    towards = torch.sign(axis @ differences.mean(0))
    return Direction(contrast.site, axis * (towards if towards != 0 else 1.0), "principal")


def probe(contrast: Contrast) -> Direction:
    """The direction in which a logistic regression finds the positive prompts.

    Values are divided by their common root mean square first, so that the penalty (L2, C = 1)
    means the same at every site.
    """
    x = torch.cat([contrast.positive, contrast.negative])
    size = x.square().mean().sqrt().clamp_min(torch.finfo(x.dtype).tiny)
    truth = [1] * len(contrast.positive) + [0] * len(contrast.negative)
    fitted = LogisticRegression(max_iter=1000).fit((x / size).cpu().numpy(), truth)
    weights = torch.tensor(fitted.coef_[0], dtype=torch.float32, device=x.device)
    return Direction(contrast.site, weights, "probe")


WAYS: Mapping[str, Callable[[Contrast], Direction]] = {
    "mean difference": mean_difference,
    "principal": principal,
    "probe": probe,
}
"""The ways to make a direction of contrast pairs, by name."""
