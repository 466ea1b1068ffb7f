"""The atlas against the generator's list: which tokens count, and how matches are made."""

from __future__ import annotations

import numpy as np

from benchmarks.atlas import agreement, figures, one_to_one, planted
from tomogram.circuits.discovery.behaviours import LONGEST
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World


def test_planted_tokens_are_the_point_of_their_documents() -> None:
    world = World()
    made = generate(world, 5, 20_000, 256)
    found = planted(world, made)
    assert set(found) == set(made.behaviours)
    words = {number: word for word, number in vocabulary(world).items()}
    for row, place in found["couplets"]:
        assert words[int(made.text.tokens[row, place])] in world.rhyme_of
    for places in found.values():
        for row, place in places:
            owner = made.text.documents[row]
            start = int(np.flatnonzero(owner == owner[place])[0])
            assert 2 <= place - start <= LONGEST
    everything = [place for places in found.values() for place in places]
    assert len(set(everything)) == len(everything)


def test_f1_by_hand_and_one_claim_for_one_behaviour() -> None:
    a, b = {(0, 1), (0, 2), (0, 3), (0, 4)}, {(1, 1), (1, 2)}
    f1 = agreement([a | b, a, {(0, 1), (0, 2), (0, 3)}], [a, b])
    np.testing.assert_allclose(f1, [[0.8, 0.5], [1.0, 0.0], [6 / 7, 0.0]])
    assert one_to_one(f1) == [(1, 0)]
    # The second behaviour gets the mechanism that the first can do without.
    assert sorted(one_to_one(np.array([[0.9, 0.8], [0.75, 0.1]]))) == [(0, 1), (1, 0)]


def test_figures_need_a_faithful_small_circuit() -> None:
    def mechanism(claims, f, share):  # type: ignore[no-untyped-def]
        return {
            "claims": claims,
            "faithfulness": {"value": f},
            "share": share,
            "metric": {"empty": -2.0, "whole": 3.0},
        }

    truth = {"one": {(0, 1), (0, 2)}, "two": {(1, 1)}}
    found = {"mechanisms": [mechanism([[0, 1], [0, 2]], 0.9, 0.05), mechanism([[1, 1]], 0.6, 0.1)]}
    told = figures(found, truth)
    assert told["behaviours found"].value == 1
    assert told["behaviours found, with a faithful small circuit"].value == 0.5
    assert told["mechanisms per planted behaviour"].met
    assert told["m(empty), mean over mechanisms"].value == -2
