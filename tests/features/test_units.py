from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.dictionaries.latents import Latents
from tomogram.features.units import (
    Family,
    Firings,
    latent_firings,
    neuron_firings,
    neuron_thresholds,
)


def rows(firings: Firings) -> list[tuple[int, int, float]]:
    columns = (firings.token, firings.unit, firings.activation)
    return [(int(t), int(u), float(a)) for t, u, a in zip(*columns, strict=True)]


def test_slots_with_value_zero_do_not_fire() -> None:
    latents = Latents(
        torch.tensor([[2.0, 0.0], [1.0, 3.0]]), torch.tensor([[4, 0], [1, 0]]), d_dict=5
    )
    assert rows(latent_firings(latents)) == [(0, 4, 2.0), (1, 1, 1.0), (1, 0, 3.0)]


def test_each_side_of_a_neuron_is_a_unit() -> None:
    activations = torch.tensor([[3.0, -5.0], [0.5, 0.0], [-3.0, 5.0]])
    thresholds = torch.tensor([1.0, 6.0, 0.0, 4.0])
    assert rows(neuron_firings(activations, thresholds)) == [(0, 0, 3.0), (0, 3, 5.0), (2, 2, 3.0)]
    family = Family("neurons.0", "neuron", 0, 4)
    assert (family.index(3), family.side(3), family.index(1), family.side(1)) == (1, -1, 1, 1)


def test_sides_fire_at_the_rate_their_thresholds_were_set_for() -> None:
    activations = torch.randn(2000, 7, generator=torch.Generator().manual_seed(0))
    thresholds = neuron_thresholds(activations, rate=0.05)
    fired = np.bincount(neuron_firings(activations, thresholds).unit, minlength=14)
    assert np.all(fired == 100)


def test_a_side_that_is_never_active_has_threshold_zero_and_does_not_fire() -> None:
    activations = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).relu()
    thresholds = neuron_thresholds(activations, rate=0.01)
    assert torch.all(thresholds[3:] == 0)
    assert neuron_firings(activations, thresholds).unit.max() < 3


def test_half_of_all_tokens_is_too_often() -> None:
    with pytest.raises(ValueError, match="share of tokens"):
        neuron_thresholds(torch.zeros(4, 1), rate=0.5)


def test_a_family_of_neurons_has_two_sides() -> None:
    with pytest.raises(ValueError, match="neurons"):
        Family("neurons.0", "neuron", 0, 3)
