"""The parts of the benchmark of mechanisms that decide what counts."""

from __future__ import annotations

import torch

from benchmarks.mechanisms import selective, swapped, two_hops
from tomogram.text.microworld.world import World


def test_a_feature_is_of_a_thing_that_it_tells_from_the_others() -> None:
    # Latent 0 fires for a alone, 1 for both, 2 for b and once for a.
    fired = [
        torch.tensor([[1.0, 1, 0]]),
        torch.tensor([[3.0, 1, 2]]),
        torch.tensor([[0.0, 1, 5]]),
        torch.tensor([[0.0, 1, 5]]),
    ]
    found = selective(fired, ["a", "a", "b", "b"])
    assert found["a"] == {(0, 0): 2.0}
    assert found["b"] == {(0, 2): 5.0}


def test_swapping_silences_one_and_sets_the_other() -> None:
    change = swapped({(0, 0): 2.0, (1, 1): 1.0}, {(0, 2): 5.0}, 2.0)
    assert change(0, torch.ones(2, 3)).tolist() == [[0, 1, 10], [0, 1, 10]]
    assert change(1, torch.ones(1, 3)).tolist() == [[1, 0, 1]]


def test_what_is_asked_is_not_what_features_are_chosen_on() -> None:
    world = World()
    known, asked = (two_hops(world, held_out=held) for held in (False, True))
    assert not {each.prompt for each in known} & {each.prompt for each in asked}
    assert {each.state for each in asked} <= {each.state for each in known}
