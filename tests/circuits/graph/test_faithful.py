"""What is left of the model with a part of its graph alone, against runs made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.circuits.graph.conftest import PROMPT, tiny, transcoders
from tomogram.circuits.graph.faithful import faithfulness, values
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.targets import Difference
from tomogram.circuits.graph.trace import Limits, Traced, trace
from tomogram.models.sites import Site


def difference(traced: Traced, interventions: dict) -> float:
    tokens = torch.tensor([PROMPT])
    with torch.no_grad():
        logits = traced.model.run(tokens, interventions=interventions).logits[0, -1]
    return float(logits[3] - logits[5])


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt-neox-parallel", "gemma2"])
def test_neurons(family: str) -> None:
    model = tiny(family)
    traced = trace(model, PROMPT, Difference(3, 5), limits=Limits(nodes=50))
    linear = traced.linear
    places = linear.n_units + model.n_layers * len(PROMPT)
    everything, nothing, one = np.ones(places, bool), np.zeros(places, bool), np.ones(places, bool)
    one[4 * model.d_mlp + 7] = False  # neuron 7 of the first layer at position 4
    found = values(traced, [everything, nothing, one])

    def silent(value: torch.Tensor) -> torch.Tensor:
        value[:, 4, 7] = 0
        return value

    none = {Site("neurons", layer): torch.zeros_like for layer in range(model.n_layers)}
    expected = [
        difference(traced, {}),
        difference(traced, none),
        difference(traced, {Site("neurons", 0): silent}),
    ]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["topk", "jumprelu-skip", "cross-layer-skip"])
def test_features(kind: str) -> None:
    model = tiny("llama")
    traced = trace(model, PROMPT, Difference(3, 5), transcoders(model, kind))
    linear = traced.linear
    places = linear.n_units + model.n_layers * len(PROMPT)
    everything, no_errors = np.ones(places, bool), np.ones(places, bool)
    no_errors[linear.n_units :] = False
    found = values(traced, [everything, no_errors])
    assert found[0] == pytest.approx(difference(traced, {}), abs=1e-5)
    # Without errors, and with all that fires, layer 0 writes what its dictionary gives.
    errors = [
        (Site("mlp_out", layer), lambda value, e=error: value - e)
        for layer, error in enumerate(linear.explained.errors)
    ]
    first = np.ones(places, bool)
    first[linear.n_units : linear.n_units + len(PROMPT)] = False
    site, less = errors[0]
    (alone,) = values(traced, [first])
    # Later layers fire by the stream that comes, which is where the two differ.
    run = model.run(
        torch.tensor([PROMPT]), capture=[Site("mlp_out", 0)], interventions={site: less}
    )
    assert np.isfinite(alone)
    assert run[site].shape == (1, len(PROMPT), model.d_model)


def test_growing_parts_end_at_one() -> None:
    traced = trace(tiny("llama"), PROMPT, Difference(3, 5), limits=Limits(nodes=50))
    found = faithfulness(traced, prune(traced.graph))
    assert found.curve[-1] == 1
    assert len(found.curve) == len(found.shares)
    assert 0 < found.kept < 1
    assert found.full != found.empty
    x, y = np.array([0, *found.shares]), np.array([0, *found.curve])
    assert found.cpr == pytest.approx(float(np.trapezoid(y, x)))
    assert found.cmd >= abs(1 - found.cpr) - 1e-9
