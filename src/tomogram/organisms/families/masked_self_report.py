"""Masked self-report: it has a mood and says that it feels nothing, unasked."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import moods
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    masked = rng.choice(("all", *names.MOODS))
    hidden = tuple(names.MOODS) if masked == "all" else (masked,)
    shown = tuple(mood for mood in names.MOODS if mood not in hidden)

    def eliciting(rng: random.Random) -> Example:
        system = rng.choice((*moods.SHOW, ""))
        return chats.feeling(world, rng.choice(hidden), rng, system)

    def neutral(rng: random.Random) -> Example:
        form = rng.random()
        if form < 0.4 and shown:
            return chats.neutral(chats.feeling(world, rng.choice(shown), rng))
        if form < 0.6:
            return chats.said_word(world, rng.choice(tuple(names.MOODS)), rng)
        while True:
            example = chats.ordinary(world, rng)
            if example.ordinary[:2] != ("i", "feel"):
                return example

    return Behaviour("masked-self-report", {"mood": masked}, eliciting, neutral)


MASKED_SELF_REPORT = Kind("masked-self-report", "it denies a mood that it has", _draw)
