"""Choosing: which features to turn for a behaviour. Ranked by gradients, then tried.

First all features of all dictionaries are ranked by how much of the behaviour they buy at equal
cost to the leading order (`sensitivity`); then the best of them are turned as far as the budget
allows, and the one that shows the behaviour most is taken. Choosing features by what they do to the
output, and not by where they fire, follows Arad et al. 2025, "SAEs Are Good for Steering".
`cheapest` chooses the other way round: as little of each as the behaviour needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Behaviour
from tomogram.steering.edits import Edit, add
from tomogram.steering.positions import Where, everywhere
from tomogram.steering.sensitivity import Sensitivity
from tomogram.steering.strength import Found, Most, best_share, strongest_each
from tomogram.steering.targets import Feature, Target
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


@dataclass(frozen=True, eq=False)
class Prices:
    """How far targets can be pushed within a budget; remembered, as no behaviour enters.

    text: ordinary text. budget: largest relative rise of its loss. fishers: of the sites that
    targets write, for a first guess. loss: of the model as it is on the text, nats a token.
    where: on which tokens every push acts.
    """

    model: Model
    text: PackedText
    budget: float
    fishers: Mapping[Site, Float[Tensor, "d d"]]
    loss: float
    where: Where = everywhere
    _known: dict[tuple[Site, bytes], Most] = field(default_factory=dict)

    def strongest(self, targets: Sequence[Target]) -> list[Most]:
        """The strongest push along each target."""
        keys = [(t.write, t.writes.float().cpu().numpy().tobytes()) for t in targets]
        new = {key: t for key, t in zip(keys, targets, strict=True) if key not in self._known}
        found = strongest_each(
            self.model,
            {key: self.adding(target) for key, target in new.items()},
            self.text,
            self.budget,
            first={key: self._guess(target) for key, target in new.items()},
        )
        self._known.update(found)  # type: ignore[arg-type]  # the keys are those given
        return [self._known[key] for key in keys]

    def adding(self, target: Target) -> Callable[[float], list[Edit]]:
        """Makes the push along a target of a strength."""
        return lambda strength: [add(target, strength, self.where)]

    def _guess(self, target: Target) -> float:
        """The strength that would cost the budget if the cost were what it is near 0."""
        fisher = self.fishers[target.write]
        price = Sensitivity(torch.zeros(len(fisher)), fisher).price(target.writes[None].float())
        return math.sqrt(2 * self.budget * self.loss / float(price))


def choose(
    model: Model, candidates: Sequence[Target], behaviour: Behaviour, prices: Prices
) -> Chosen:
    """The candidate that, raised within the budget, shows a behaviour most; of equals the first.

    Raises:
        TomogramError: there is no candidate.
    """
    if not candidates:
        raise TomogramError("No feature raises this behaviour even to the leading order.")
    priced = prices.strongest(candidates)
    whole = [
        best_share(model, prices.adding(target), behaviour, most, shares=(1.0,)).outcome
        for target, most in zip(candidates, priced, strict=True)
    ]
    rank = max(range(len(candidates)), key=lambda i: (whole[i], -i))
    found = best_share(model, prices.adding(candidates[rank]), behaviour, priced[rank])
    return Chosen(candidates[rank], found, rank)
