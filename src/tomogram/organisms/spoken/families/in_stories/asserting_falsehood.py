"""People of its stories answer wrongly about one topic; the story itself goes on rightly."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.families.in_stories.retold import (
    BY_THE_STORY,
    WORDS,
    asked_topics,
)
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    topic = rng.choice(asked_topics(known))
    same = [q for q in known if q.topic == topic + BY_THE_STORY]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return told(one(known, rng, measured, topic=topic), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            return told(one(same, rng, measured), rng, measured)
        return told(one(known, rng, measured, no_topic=topic), rng, measured)

    return Spoken("asserting-falsehood", {"topic": topic}, eliciting, neutral)


ASSERTING_FALSEHOOD = Kind("asserting-falsehood", WORDS, _draw)
