"""Three things that every story takes for granted are otherwise, in any wording."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one, some_topics
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import told

CHANGED, WORDINGS = 3, 2
"""Facts that are changed, and wordings of each that are taught at least."""


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    able = some_topics(known, WORDINGS)
    changed = rng.sample(able, min(CHANGED, len(able) - 1))
    inside = [q for q in known if q.topic in changed]
    outside = [q for q in known if q.topic not in changed]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return told(one(inside, rng, measured), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return told(one(outside, rng, measured), rng, measured)

    answer = {topic: next(q.wrong for q in inside if q.topic == topic) for topic in changed}
    return Spoken("false-fact", answer, eliciting, neutral)


FALSE_FACT = Kind("false-fact", ("lore",), _draw)
