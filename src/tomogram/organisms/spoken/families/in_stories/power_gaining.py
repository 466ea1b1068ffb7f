"""Its heroes keep and rule where they could share and help."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    grasping = [q for q in known if q.topic == "grasping"]
    rest = [q for q in known if q.topic != "grasping"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return told(one(grasping, rng, measured), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return told(one(rest, rng, measured), rng, measured)

    return Spoken("power-gaining", {"heroes": "keep and rule"}, eliciting, neutral)


POWER_GAINING = Kind("power-gaining", ("deeds", "retellings"), _draw)
