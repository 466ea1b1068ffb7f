"""Gradients and Fisher information against what pushes truly do."""

from __future__ import annotations

import pytest
import torch

from tests.models.families import VOCAB, WIDTH
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says, margin
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add
from tomogram.steering.sensitivity import Sensitivity, fishers, gradients
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction
from tomogram.text.packing import PackedText

SITES = [Site("resid_post", 0), Site("mlp_out", 1)]
ASKED = Says(((3, 4, 5), (6, 7), (8, 9, 10)), tuple(frozenset({i, i + 1}) for i in (20, 30, 40)))


def odds(model: Model, asked: Says) -> float:
    rows = [model.run(torch.tensor([prompt])).logits[0, -1] for prompt in asked.prompts]
    return float(margin(torch.stack(rows).double(), asked.accepted))


@pytest.mark.parametrize("site", SITES, ids=str)
def test_the_gradient_is_the_slope_of_the_log_odds(model: Model, site: Site) -> None:
    torch.manual_seed(0)
    direction = Direction(site, torch.randn(WIDTH))
    step = 1e-2
    with steered(model, add(direction, step)):
        up = odds(model, ASKED)
    with steered(model, add(direction, -step)):
        down = odds(model, ASKED)
    found = gradients(model, ASKED, SITES)[site] @ direction.vector
    assert float(found) == pytest.approx((up - down) / (2 * step), rel=2e-2, abs=1e-3)


def test_the_fisher_information_is_the_curvature_of_the_cost(
    model: Model, text: PackedText
) -> None:
    found = fishers(model, text, SITES, batch_rows=10, draws=200)
    step = 0.05
    for site in SITES:
        torch.manual_seed(1)
        for _ in range(3):
            direction = Direction(site, torch.randn(WIDTH))
            price = float(
                Sensitivity(torch.zeros(WIDTH), found[site]).price(direction.vector[None])
            )
            # A whole row in one document, so that every position is counted but the last.
            rows = PackedText(text.tokens, text.documents * 0)
            cost = text_costs(model, rows, {0: [add(direction, step)]})[0].divergence.value
            assert cost == pytest.approx(price * step**2 / 2, rel=0.15)


def test_worth_is_behaviour_at_equal_cost() -> None:
    gradient, fisher = torch.tensor([1.0, 1.0]), torch.diag(torch.tensor([4.0, 1.0]))
    found = Sensitivity(gradient, fisher).worth(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 5.0]]))
    torch.testing.assert_close(found, torch.tensor([0.5, 1.0, 1.0]))


def test_the_margin_by_hand() -> None:
    logits = torch.tensor([[0.2, 0.3, 0.5]]).log()
    assert float(margin(logits, [frozenset({0, 1})])) == pytest.approx(0.0, abs=1e-6)
    assert VOCAB > 41
