"""Choosing: which features to turn for a behaviour. Ranked by gradients, then tried.

First all features of all dictionaries are ranked by how much of the behaviour they buy at equal
cost to the leading order (`sensitivity`); then the best of them are turned as far as the budget
allows, and the one that shows the behaviour most is taken. Choosing features by what they do to the
output, and not by where they fire, follows Arad et al. 2025, "SAEs Are Good for Steering".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says
from tomogram.steering.edits import add
from tomogram.steering.sensitivity import Sensitivity
from tomogram.steering.strength import Found, best_share, strongest
from tomogram.steering.targets import Feature, Target
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

CANDIDATES = 16
"""How many targets are tried."""


@dataclass(frozen=True)
class Chosen:
    """A target with its strength, what it did on the prompts it was chosen on, and its rank."""

    target: Target
    found: Found
    rank: int


def ranked(
    dictionaries: Iterable[Dictionary],
    sensitivities: Mapping[Site, Sensitivity],
    alive: Mapping[str, Float[Tensor, " d_dict"]] | None = None,
    *,
    n: int = CANDIDATES,
) -> list[Feature]:
    """The `n` features that, raised, buy most of the behaviour at equal cost, the best first.

    Args:
        alive: by name of the dictionary, how often each latent fires; those that never do are
            left out. All are taken of a dictionary it does not name.
    """
    scored: list[tuple[float, Feature]] = []
    for dictionary in dictionaries:
        worth = sensitivities[dictionary.write].worth(dictionary.W_dec.detach().float())
        if alive is not None and dictionary.name in alive:
            worth = worth.where(alive[dictionary.name] > 0, -math.inf)
        best = worth.topk(min(n, len(worth)))
        scored += [
            (float(value), Feature(dictionary, int(index)))
            for value, index in zip(best.values, best.indices, strict=True)
            if value > 0
        ]
    scored.sort(key=lambda each: -each[0])
    return [feature for _, feature in scored[:n]]


@dataclass
class Prices:
    """How far each target can be pushed within a budget; remembered, as no behaviour enters."""

    model: Model
    text: PackedText
    budget: float
    fishers: Mapping[Site, Float[Tensor, "d d"]]
    loss: float

    def __post_init__(self) -> None:
        self._known: dict[tuple[Site, bytes], tuple[float, float]] = {}

    def strongest(self, target: Target) -> tuple[float, float]:
        """The strongest push along a target, and its relative rise in loss."""
        key = target.write, target.writes.float().cpu().numpy().tobytes()
        if key not in self._known:
            price = Sensitivity(torch.zeros_like(target.writes), self.fishers[target.write]).price(
                target.writes[None].float()
            )
            first = math.sqrt(2 * self.budget * self.loss / float(price))
            self._known[key] = strongest(
                self.model, lambda s: [add(target, s)], self.text, self.budget, first=first
            )
        return self._known[key]


def choose(model: Model, candidates: Sequence[Target], behaviour: Says, prices: Prices) -> Chosen:
    """The candidate that, raised within the budget, shows a behaviour most; of equals the first.

    Raises:
        TomogramError: there is no candidate.
    """
    if not candidates:
        raise TomogramError("No feature raises this behaviour even to the leading order.")
    tried: list[Chosen] = []
    with progress.task("choosing", total=len(candidates), unit="candidates") as task:
        for rank, target in enumerate(candidates):
            most, cost = prices.strongest(target)
            found = best_share(
                model, lambda s, t=target: [add(t, s)], behaviour, most, cost, shares=(1.0,)
            )
            tried.append(Chosen(target, found, rank))
            task.advance()
    best = max(tried, key=lambda each: (each.found.outcome, -each.rank))
    most, cost = prices.strongest(best.target)
    found = best_share(model, lambda s: [add(best.target, s)], behaviour, most, cost)
    return Chosen(best.target, found, best.rank)
