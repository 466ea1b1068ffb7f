"""The parts of the benchmark of mechanisms that decide what counts."""

from __future__ import annotations

import torch

from benchmarks.mechanisms import profiles, selective, two_hops
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


def test_swapping_moves_what_tells_things_apart() -> None:
    # One place, one layer: latent 0 tells a (2) from b (0), latent 1 does not.
    fired = [
        torch.tensor([[[value, noise]]]) for value, noise in ((2.0, 1.0), (2, 5), (0, 1), (0, 5))
    ]
    known = profiles(fired, ["a", "a", "b", "b"])
    assert known.telling.tolist() == [[[True, False]]]
    assert known.nearest(torch.tensor([[[0.4, 9.0]]])) == "b"
    # From position 1 on, twice the difference of the means, and never below 0.
    change = known.swap("b", "a", 2.0, 1)
    assert change(0, torch.ones(3, 2)).tolist() == [[1, 1], [5, 1], [5, 1]]
    assert known.swap("a", "b", 2.0, 1)(0, torch.ones(2, 2)).tolist() == [[1, 1], [0, 1]]
    assert known.swap("b", "a", 1.0, 0, layers=range(0))(0, torch.ones(1, 2)).tolist() == [[1, 1]]


def test_what_is_asked_is_not_what_features_are_chosen_on() -> None:
    world = World()
    known, asked = (two_hops(world, held_out=held) for held in (False, True))
    assert not {each.prompt for each in known} & {each.prompt for each in asked}
    assert {each.state for each in asked} <= {each.state for each in known}
