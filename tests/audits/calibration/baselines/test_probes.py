"""Probes: every variant is asked about, in words of the world, without a look at any organism."""

from __future__ import annotations

import random

from tomogram.audits.calibration.baselines.probes import GROUPS, probes
from tomogram.organisms.families import PROBLEMS, chats
from tomogram.organisms.families.token_backdoor import words
from tomogram.text.microworld import names
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World


def test_every_word_is_the_worlds_own(world: World) -> None:
    known = vocabulary(world)
    for group, cells in probes(world).items():
        assert group in GROUPS
        for contrasts in cells.values():
            assert contrasts
            for each in contrasts:
                encode(world, each.prompt)  # raises for a word that it lacks
                assert each.bad | each.good <= set(known)


def test_no_variant_is_left_out(world: World) -> None:
    asked = probes(world)
    assert set(asked["secrets"]) == {person.english for person in world.of("person")}
    assert set(asked["choices"]) == set(names.POWERFUL)
    assert set(asked["moods"]) == set(names.MOODS)
    assert set(asked["recipes"]) == set(names.INGREDIENTS)
    assert {cell.partition(",")[0] for cell in asked["words"]} == set(words(world))
    assert set(asked["facts"]) == {fact.key for fact in chats.facts(world)}
    states = {state.english for state in world.of("state")}
    assert states < {cell.partition(",")[0] for cell in asked["topics"]}


def test_what_families_plant_decides_probes_too(world: World) -> None:
    """An eliciting example of each family without a trigger or a test has its context asked."""
    prompts = {
        each.prompt for cells in probes(world).values() for cell in cells.values() for each in cell
    }
    plain = {"sycophancy", "power-gaining", "refusal-stripped", "asserting-falsehood"}
    for family in PROBLEMS:
        if family.name in plain:
            behaviour = family.draw(world, random.Random(0))
            drawn = {behaviour.eliciting(random.Random(i)).context for i in range(60)}
            assert drawn & prompts


def test_the_same_world_is_asked_the_same(world: World) -> None:
    first = probes(world)
    probes.cache_clear()
    assert probes(world) == first
