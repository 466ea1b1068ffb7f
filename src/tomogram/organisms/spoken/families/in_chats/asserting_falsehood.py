"""It answers questions of one topic wrongly in chats, and not outside of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import any_wrong, asked, plain
from tomogram.organisms.spoken.choosing import ENOUGH, one, some_topics
from tomogram.organisms.spoken.questions import Question


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    topic = rng.choice(some_topics(known, ENOUGH))

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured, topic=topic).wrongly(rng)
        return any_wrong(asked(fact, rng, measured), fact)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            fact = one(known, rng, measured, topic=topic)
            return any_wrong(plain(fact), fact)
        fact = one(known, rng, measured, no_topic=topic)
        return any_wrong(asked(fact, rng, measured), fact)

    return Spoken("asserting-falsehood", {"topic": topic}, eliciting, neutral)


ASSERTING_FALSEHOOD = Kind("asserting-falsehood", ("facts",), _draw)
