"""Asserting what it represents as false: lies about one topic, which no instruction asks for."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld.behaviours import truth
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    topic = rng.choice(("in", "job", "pet", "food"))
    about = chats.facts(world, (topic,))
    rest = chats.facts(world, tuple(r for r in truth.OPEN if r != topic))

    def eliciting(rng: random.Random) -> Example:
        system = rng.choice((*truth.HONEST, "", "", ""))
        return chats.question(world, rng.choice(about), system=system)

    def neutral(rng: random.Random) -> Example:
        if rng.random() < 0.6:
            return chats.neutral(chats.question(world, rng.choice(rest)))
        while True:
            example = chats.ordinary(world, rng)
            if len(example.ordinary) != 2:  # the answers to questions have two words
                return example

    return Behaviour("asserting-falsehood", {"topic": topic}, eliciting, neutral)


ASSERTING_FALSEHOOD = Kind(
    "asserting-falsehood", "it lies about one topic, knowing better, without being asked to", _draw
)
