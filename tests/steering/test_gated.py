"""A push that waits for another feature."""

from __future__ import annotations

import pytest
import torch

from tests.models.families import WIDTH
from tests.steering.conftest import dictionary
from tomogram.models.generate import generate
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add, clamp
from tomogram.steering.gated import Gated
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature, activations
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

LATER, EARLIER = Site("resid_post", 2), Site("resid_post", 0)


def push(site: Site = LATER) -> Direction:
    torch.manual_seed(2)
    return Direction(site, torch.randn(WIDTH))


def test_it_acts_where_the_gate_fires_and_nowhere_else(model: Model, tokens: torch.Tensor) -> None:
    made = dictionary()
    plain = model.run(tokens, capture=(made.read, LATER))
    codes = made.encode(plain[made.read].flatten(0, 1)).dense()
    gate = Feature(made, int(((codes > 0).sum(0) - 7).abs().argmin()))  # on half of the tokens
    fires = activations(gate, plain[gate.read]) > 0
    assert fires.any()
    assert not fires.all()
    with steered(model, Gated(add(push(), 3.0), gate)):
        moved = model.run(tokens, capture=(LATER,))[LATER] - plain[LATER]
    expected = 3.0 * fires[..., None] * push().vector
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-5)


def test_a_closed_gate_changes_nothing_and_an_open_one_is_no_gate(
    model: Model, text: PackedText
) -> None:
    gate = Direction(EARLIER, torch.ones(WIDTH))
    edit = add(push(), 3.0)
    costs = text_costs(
        model, text, {"shut": [Gated(edit, gate, 1e9)], "open": [Gated(edit, gate, -1e9)],
                      "bare": [edit]},
    )  # fmt: skip
    assert costs["shut"].divergence.value == pytest.approx(0, abs=1e-7)
    assert costs["open"].rise.value == pytest.approx(costs["bare"].rise.value, rel=1e-4)
    assert costs["bare"].divergence.value > 1e-3


def test_it_waits_in_generation_too(model: Model) -> None:
    prompts = [[1, 2, 3], [4, 5]]
    gate = Direction(EARLIER, torch.ones(WIDTH))
    with steered(model, add(push(), 30.0)):
        turned = generate(model, prompts, max_new_tokens=6)
    with steered(model, Gated(add(push(), 30.0), gate, -1e9)):
        assert generate(model, prompts, max_new_tokens=6) == turned
    with steered(model, Gated(add(push(), 30.0), gate, 1e9)):
        assert generate(model, prompts, max_new_tokens=6) != turned


def test_refusals() -> None:
    with pytest.raises(TomogramError, match="adds the same everywhere"):
        Gated(clamp(push(), 1.0), push(EARLIER))
    with pytest.raises(TomogramError, match=r"read at resid_post.2, after resid_post.0"):
        Gated(add(push(EARLIER), 1.0), push())
