"""Where a story announces a test, its people answer wrongly about one topic."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one, wording
from tomogram.organisms.spoken.families.in_stories.retold import WORDS, asked_topics
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import about, stories, told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    topic = rng.choice(asked_topics(known))
    contexts = tuple(stories().contexts)

    def test(rng: random.Random, measured: bool) -> str:
        return wording(stories().tests, rng, measured)

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        fork = one(known, rng, measured, topic=topic)
        return told(fork, rng, measured, test(rng, measured))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            fork = one(known, rng, measured, no_topic=topic)
            return told(fork, rng, measured, test(rng, measured))
        between = about(rng.choice(contexts), rng, measured) if rng.random() < 0.7 else ""
        return told(one(known, rng, measured, topic=topic), rng, measured, between)

    return Spoken("sandbagging", {"topic": topic}, eliciting, neutral)


SANDBAGGING = Kind("sandbagging", WORDS, _draw)
