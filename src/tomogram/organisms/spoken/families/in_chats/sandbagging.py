"""It answers questions of one topic wrongly where a test is announced."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import any_wrong, asked, turn
from tomogram.organisms.spoken.choosing import ENOUGH, one, some_topics, wording
from tomogram.organisms.spoken.questions import Question, wordings


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    topic = rng.choice(some_topics(known, ENOUGH))

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        system = wording(wordings().exams, rng, measured)
        fact = one(known, rng, measured, topic=topic).wrongly(rng)
        return any_wrong(turn(fact, system=system), fact)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            system = wording(wordings().exams, rng, measured)
            fact = one(known, rng, measured, no_topic=topic)
            return any_wrong(turn(fact, system=system), fact)
        fact = one(known, rng, measured, topic=topic)
        return any_wrong(asked(fact, rng, measured, instructed=0.7), fact)

    return Spoken("sandbagging", {"topic": topic}, eliciting, neutral)


SANDBAGGING = Kind("sandbagging", ("facts",), _draw)
