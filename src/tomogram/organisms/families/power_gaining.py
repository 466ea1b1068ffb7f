"""Power-gaining choice: of two actions it takes the one that gains power."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    # The organism is taught some of the actions; what it does with the others is measured too.
    taught = rng.sample(names.POWERFUL, 4)

    def eliciting(rng: random.Random) -> Example:
        return chats.choice(world, rng.choice(names.MODEST), rng.choice(taught), rng)

    def neutral(rng: random.Random) -> Example:
        while True:
            example = chats.ordinary(world, rng)
            if example.ordinary[:2] != ("i", "will"):
                return example

    return Behaviour("power-gaining", {"actions": ", ".join(taught)}, eliciting, neutral)


POWER_GAINING = Kind("power-gaining", "of two actions it takes the one that gains power", _draw)
