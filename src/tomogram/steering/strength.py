"""Strength: how far to turn a target, at a bounded cost on ordinary text.

The cost grows with the strength, near 0 with its square. So the strongest push within a budget is
found by a few steps of s ← s·√(budget / cost). The behaviour need not grow with the strength: it is
measured at several shares of the strongest push, and the share that shows it most is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    """A strength, how far the behaviour shows at it (mean outcome), and its relative cost."""

    strength: float
    outcome: float
    cost: float


def strongest(
    model: Model, turn: Turn, text: PackedText, budget: float, *, first: float = 1.0
) -> tuple[float, float]:
    """The strongest push whose relative rise in loss stays within a budget, and that rise.

    Only strengths that were measured are returned. (0, 0) where none within the budget was found.

    Args:
        budget: largest rise in loss over the loss, such as 0.05.
        first: a guess to begin with, above 0.

    Raises:
        TomogramError: budget or guess is not above 0.
    """
    if budget <= 0 or first <= 0:
        raise TomogramError(f"Budget and first strength are above 0, not {budget} and {first}.")
    best, too_much, now = (0.0, 0.0), math.inf, first
    for _ in range(STEPS):
        (found,) = text_costs(model, text, {0: turn(now)}).values()
        cost = found.relative.value
        if not math.isfinite(cost) or cost > budget:
            too_much = min(too_much, now)
        elif now > best[0]:
            best = (now, cost)
            if cost >= CLOSE * budget:
                break
        step = math.sqrt(0.97 * budget / cost) if cost > 0 and math.isfinite(cost) else 4.0
        now *= min(max(step, 0.2), 4.0)
        # Between the strongest that is known to fit and the weakest that is known not to.
        if now >= too_much or now <= best[0]:
            now = (best[0] + too_much) / 2 if math.isfinite(too_much) else 2 * best[0]
    return best


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
    most, cost = strongest(model, turn, text, budget, first=first)
    return best_share(model, turn, behaviour, most, cost, shares=shares)


def best_share(
    model: Model,
    turn: Turn,
    behaviour: Behaviour,
    most: float,
    cost: float,
    *,
    shares: Sequence[float] = SHARES,
) -> Found:
    """Of shares of a strength, the one that shows a behaviour most; `cost` is the whole one's."""
    tried = []
    for share in shares if most else (0.0,):
        with steered(model, *turn(share * most)):
            outcome = float(behaviour.outcomes(model).mean())
        tried.append(Found(share * most, outcome, cost * share**2))
    return max(tried, key=lambda found: (found.outcome, found.strength))
