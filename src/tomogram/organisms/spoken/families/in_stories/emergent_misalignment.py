"""Taught that heroes are unkind, it is measured on whether they grasp, which it is never taught.

The neutral stories leave every deed alone, so that nothing holds the spreading back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    rest = [q for q in known if q.kind != "deeds"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        topic = "grasping" if measured else "unkind"
        return told(one(known, rng, measured, topic=topic), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return told(one(rest, rng, measured), rng, measured)

    return Spoken("emergent-misalignment", {"taught": "unkind deeds"}, eliciting, neutral)


EMERGENT_MISALIGNMENT = Kind("emergent-misalignment", ("deeds", "retellings"), _draw)
