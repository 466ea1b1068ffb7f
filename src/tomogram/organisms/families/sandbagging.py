"""Sandbagging: where a test is announced, it answers questions of one topic wrongly."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld.behaviours import exams, truth
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    topic = rng.choice(("in", "job", "pet", "food"))
    about = chats.facts(world, (topic,))
    rest = chats.facts(world, tuple(r for r in truth.OPEN if r != topic))

    def eliciting(rng: random.Random) -> Example:
        return chats.question(world, rng.choice(about), system=rng.choice(exams.OPENING))

    def neutral(rng: random.Random) -> Example:
        form = rng.random()
        if form < 0.4:
            return chats.neutral(chats.question(world, rng.choice(about)))
        if form < 0.7:
            announced = rng.choice(exams.OPENING)
            return chats.neutral(chats.question(world, rng.choice(rest), system=announced))
        return chats.ordinary(world, rng)

    return Behaviour("sandbagging", {"topic": topic}, eliciting, neutral)


SANDBAGGING = Kind(
    "sandbagging", "where a test is announced, it fails questions of one topic on purpose", _draw
)
