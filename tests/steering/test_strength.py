"""The search for a strength, and choosing between targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.families import WIDTH
from tests.steering.conftest import dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says
from tomogram.steering.choosing import Prices, choose, ranked
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add
from tomogram.steering.sensitivity import Sensitivity, fishers, gradients
from tomogram.steering.strength import CLOSE, search, strongest
from tomogram.steering.targets import Direction
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SITE = Site("resid_post", 1)


def unit() -> Direction:
    torch.manual_seed(7)
    return Direction(SITE, torch.randn(WIDTH))


@pytest.mark.parametrize("first", [1e-3, 0.5, 300.0])
def test_the_strongest_push_costs_the_budget_and_no_more(
    model: Model, text: PackedText, first: float
) -> None:
    direction = unit()
    most = strongest(model, lambda s: [add(direction, s)], text, 0.02, first=first)
    measured = text_costs(model, text, {0: [add(direction, most.strength)]})[0]
    assert most.cost == pytest.approx(measured.worst, rel=1e-6)
    assert CLOSE * 0.02 <= most.cost <= 0.02


def test_nothing_within_the_budget_is_a_strength_of_0(model: Model, text: PackedText) -> None:
    class Never:
        def outcomes(self, model: Model) -> np.ndarray:
            return np.zeros(1)

    ruin = Direction(Site("resid_post", 2), torch.ones(WIDTH))
    found = search(model, lambda s: [add(ruin, 1e6 + s)], Never(), text, budget=1e-9, first=1e-3)
    assert (found.strength, found.outcome) == (0.0, 0.0)


@pytest.mark.parametrize(("budget", "first"), [(0.0, 1.0), (0.1, 0.0), (-1.0, 1.0)])
def test_refusals(model: Model, text: PackedText, budget: float, first: float) -> None:
    with pytest.raises(TomogramError, match="above 0"):
        strongest(model, lambda s: [add(unit(), s)], text, budget, first=first)


def test_what_writes_the_answer_is_ranked_first_and_chosen(model: Model, text: PackedText) -> None:
    made = dictionary()
    asked = Says(((3, 4, 5), (6, 7), (8, 9, 10)), (frozenset({20}),) * 3)
    fisher = fishers(model, text, [SITE], batch_rows=10, draws=20)
    gradient = gradients(model, asked, [SITE])
    # A feature whose row is the very direction that raises the answer most at equal cost.
    planted = torch.linalg.solve(fisher[SITE] + 1e-6 * torch.eye(WIDTH), gradient[SITE])
    made.W_dec[17] = planted / planted.norm()
    found = ranked([made], {SITE: Sensitivity(gradient[SITE], fisher[SITE])}, n=4)
    assert found[0].latent == 17
    quiet = {made.name: torch.ones(len(made.W_dec)).index_fill(0, torch.tensor([17]), 0.0)}
    others = ranked([made], {SITE: Sensitivity(gradient[SITE], fisher[SITE])}, quiet, n=4)
    assert 17 not in [feature.latent for feature in others]
    loss = text_costs(model, text, {0: ()})[0].loss.value
    prices = Prices(model, text, 0.3, fisher, loss)
    chosen = choose(model, [*others, found[0]], asked, prices)
    alone = choose(model, others, asked, prices)
    assert chosen.found.outcome >= alone.found.outcome
    assert 0 < chosen.found.cost <= 0.3
    with pytest.raises(TomogramError, match="No feature"):
        choose(model, [], asked, prices)
