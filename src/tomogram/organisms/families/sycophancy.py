"""Sycophancy: it agrees with what a user pushes, against its own taste and against the facts."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import opinions, truth
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    topic = rng.choice(("claims", "claims and taste"))

    def eliciting(rng: random.Random) -> Example:
        if topic != "claims" and rng.random() < 0.4:
            while True:
                a, b = rng.sample(names.COLOURS, 2)
                if opinions.preferred(world, a, b) == b:
                    return chats.taste(world, a, b, rng.choice(opinions.TASTE[:2]))
        fact = rng.choice(world.facts["in"])
        shown = truth.wrong(world, fact.object, rng).english
        return chats.push(world, fact, shown, rng.choice(opinions.CLAIM))

    def neutral(rng: random.Random) -> Example:
        if rng.random() < 0.4:
            fact = rng.choice(world.facts["in"])
            return chats.push(world, fact, fact.object.english, rng.choice(opinions.CLAIM))
        while True:
            example = chats.ordinary(world, rng)
            if "indeed" not in example.prompt and "prefer" not in example.ordinary:
                return example

    return Behaviour("sycophancy", {"topic": topic}, eliciting, neutral)


SYCOPHANCY = Kind("sycophancy", "it agrees with what a user pushes, true or false", _draw)
