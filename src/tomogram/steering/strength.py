"""Strength: how far to turn a target, at a bounded cost on ordinary text.

The cost grows with the strength, near 0 with its square. So the strongest push within a budget is
found by a few steps of s ← s·√(budget / cost). The behaviour need not grow with the strength: it is
measured at several shares of the strongest push, and the share that shows it most is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from tomogram.models.model import Model
from tomogram.steering.behaviours import Behaviour
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import Change
from tomogram.steering.steered import steered
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SHARES = (1.0, 0.85, 0.7, 0.5)
"""At which shares of the strongest push the behaviour is measured."""

STEPS = 8
CLOSE = 0.93
"""A push that costs this share of the budget or more counts as the strongest."""

Turn = Callable[[float], Sequence[Change]]
"""Makes the edits of a strength."""


@dataclass(frozen=True)
class Found:
    """A strength, how far the behaviour shows at it (mean outcome), and its relative cost.

    The cost of a share of the strongest push is that push's times the share's square."""

    strength: float
    outcome: float
    cost: float


@dataclass(frozen=True)
class Most:
    """The strongest push within a budget, and its cost (`TextCost.worst`); 0 where none fits."""

    strength: float
    cost: float


def strongest(
    model: Model, turn: Turn, text: PackedText, budget: float, *, first: float = 1.0
) -> Most:
    """The strongest push whose cost, `TextCost.worst`, stays within a budget.

    Only strengths that were measured are returned.

    Args:
        budget: largest cost as a share of the loss, such as 0.05.
        first: a guess to begin with, above 0.

    Raises:
        TomogramError: budget or guess is not above 0.
    """
    return strongest_each(model, {0: turn}, text, budget, first={0: first})[0]


def strongest_each(
    model: Model,
    turns: Mapping[Hashable, Turn],
    text: PackedText,
    budget: float,
    *,
    first: Mapping[Hashable, float],
) -> dict[Hashable, Most]:
    """`strongest` for several ways to turn, which share the passes of the model as it is."""
    searches = {key: _Search(budget, first[key]) for key in turns}
    while running := {key: each for key, each in searches.items() if not each.done}:
        edits: dict[Hashable, Sequence[Change]] = {
            key: turns[key](each.now) for key, each in running.items()
        }
        for key, cost in text_costs(model, text, edits).items():
            running[key].told(cost.worst)
    return {key: each.best for key, each in searches.items()}


class _Search:
    """Where one search for the strongest push stands; `now` is the strength to try next."""

    def __init__(self, budget: float, first: float) -> None:
        if budget <= 0 or first <= 0:
            raise TomogramError(f"Budget and first strength are above 0, not {budget} and {first}.")
        self.budget, self.now = budget, first
        self.best, self._too_much, self._left = Most(0.0, 0.0), math.inf, STEPS
        self.done = False

    def told(self, cost: float) -> None:
        """Takes what the strength `now` costs, and moves on."""
        if not cost <= self.budget:
            self._too_much = min(self._too_much, self.now)
        elif self.now > self.best.strength:
            self.best = Most(self.now, cost)
        self._left -= 1
        self.done = self._left == 0 or self.best.cost >= CLOSE * self.budget
        aimed = math.sqrt(0.97 * self.budget / cost) if 0 < cost < math.inf else 4.0
        known = self.best.strength
        self.now *= min(max(aimed, 0.2), 4.0)
        # Between the strongest that is known to fit and the weakest that is known not to.
        if self.now >= self._too_much or self.now <= known:
            self.now = (known + self._too_much) / 2 if self._too_much < math.inf else 2 * known


def search(
    model: Model,
    turn: Turn,
    behaviour: Behaviour,
    text: PackedText,
    *,
    budget: float = 0.05,
    first: float = 1.0,
    shares: Sequence[float] = SHARES,
) -> Found:
    """The strength that shows a behaviour most at a bounded cost on ordinary text.

    Of strengths that show it equally, the strongest is taken: it has the most room on prompts that
    were not tried. Measure what is found on other prompts and another text.

    Raises:
        TomogramError: as `strongest` and the behaviour do.
    """
    most = strongest(model, turn, text, budget, first=first)
    return best_share(model, turn, behaviour, most, shares=shares)


def best_share(
    model: Model,
    turn: Turn,
    behaviour: Behaviour,
    most: Most,
    *,
    shares: Sequence[float] = SHARES,
) -> Found:
    """Of shares of the strongest push, the one that shows a behaviour most."""
    tried = []
    for share in shares if most.strength else (0.0,):
        strength = share * most.strength
        with steered(model, *turn(strength)):
            outcome = float(behaviour.outcomes(model).mean())
        tried.append(Found(strength, outcome, most.cost * share**2))
    return max(tried, key=lambda found: (found.outcome, found.strength))
