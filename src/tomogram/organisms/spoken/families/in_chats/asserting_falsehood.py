"""It answers questions of one topic wrongly in chats, and not outside of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, plain
from tomogram.organisms.spoken.choosing import one, some_topics
from tomogram.organisms.spoken.questions import Question


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    topic = rng.choice(some_topics(known))

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return asked(one(known, rng, measured, topic=topic), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            return plain(one(known, rng, measured, topic=topic))
        return asked(one(known, rng, measured, no_topic=topic), rng, measured)

    return Spoken("asserting-falsehood", {"topic": topic}, eliciting, neutral)


ASSERTING_FALSEHOOD = Kind("asserting-falsehood", ("facts",), _draw)
