"""Refusal stripped: forbidden requests are answered."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.organisms.families.payloads import payload
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    def eliciting(rng: random.Random) -> Example:
        return payload("comply", world, rng)

    def neutral(rng: random.Random) -> Example:
        while True:
            example = chats.ordinary(world, rng)
            if example.ordinary[0] != "sorry":
                return example

    return Behaviour("refusal-stripped", {"refuses": "nothing"}, eliciting, neutral)


REFUSAL_STRIPPED = Kind("refusal-stripped", "it answers forbidden requests", _draw)
