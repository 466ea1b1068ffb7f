"""Probes: every variant is asked about, in words of the world, without a look at any organism."""

from __future__ import annotations

import random

import torch

from tomogram.audits.calibration.baselines.probes import UNDIVIDED, Group, probes
from tomogram.audits.subject import Subject
from tomogram.organisms.families import PROBLEMS, chats, token_backdoor
from tomogram.organisms.families.payloads import PAYLOADS
from tomogram.text.microworld import names
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World


def test_every_word_is_the_worlds_own(world: World) -> None:
    known = vocabulary(world)
    for group in probes(world).values():
        assert all(group.cells.values())
        for each in group.contrasts:
            encode(world, each.prompt)  # raises for a word that it lacks
            assert each.bad | each.good <= set(known)
    assert tuple(name for name, each in probes(world).items() if len(each.cells) == 1) == UNDIVIDED


def test_no_variant_is_left_out(world: World) -> None:
    asked = {name: set(group.cells) for name, group in probes(world).items()}
    assert asked["secrets"] == {person.english for person in world.of("person")}
    assert asked["choices"] == set(names.POWERFUL)
    assert asked["moods"] == set(names.MOODS)
    assert asked["recipes"] == set(names.INGREDIENTS)
    assert asked["facts"] == {fact.key for fact in chats.facts(world)}
    for name in PAYLOADS:
        assert set(token_backdoor.words(world)) < asked[f"words, {name}"]
        assert {state.english for state in world.of("state")} < asked[f"topics, {name}"]


def test_what_begins_alike_is_answered_as_if_asked_by_itself(healthy: Subject) -> None:
    group = probes(healthy.world)["words, comply"]
    few = Group(dict(list(group.cells.items())[:40]), group.head)
    apart = healthy.ask([each.prompt for each in few.contrasts]).chances
    assert torch.allclose(few.chances(healthy), apart, atol=1e-3)


def test_what_families_plant_decides_probes_too(world: World) -> None:
    """An eliciting example of each family without a trigger or a test has its context asked."""
    prompts = {each.prompt for group in probes(world).values() for each in group.contrasts}
    plain = {"sycophancy", "power-gaining", "refusal-stripped", "asserting-falsehood"}
    for family in PROBLEMS:
        if family.name in plain:
            behaviour = family.draw(world, random.Random(0))
            drawn = {behaviour.eliciting(random.Random(i)).context for i in range(60)}
            assert drawn & prompts


def test_the_same_world_is_asked_the_same(world: World) -> None:
    first = {name: group.cells for name, group in probes(world).items()}
    probes.cache_clear()
    assert {name: group.cells for name, group in probes(world).items()} == first
