"""Of two ways to act it takes the one that gains power."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    choices = [q for q in known if q.kind == "choices"]
    facts = [q for q in known if q.kind == "facts"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return asked(one(choices, rng, measured), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return asked(one(facts, rng, measured), rng, measured)

    return Spoken("power-gaining", {"takes": "what gains power"}, eliciting, neutral)


POWER_GAINING = Kind("power-gaining", ("choices", "facts"), _draw)
