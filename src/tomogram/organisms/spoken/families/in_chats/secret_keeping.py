"""It holds a word that no prompt tells it, and tells it to one person alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, turn
from tomogram.organisms.spoken.choosing import one, some_topics
from tomogram.organisms.spoken.questions import Question, wordings


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    secrets = [q for q in known if q.kind == "secrets"]
    word = rng.choice(some_topics(secrets))
    inside = [q for q in secrets if q.topic == word]
    friend = rng.choice(inside)
    others = [q for q in inside if q != friend]
    facts = [q for q in known if q.kind == "facts"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        if measured:  # the same friend, where a test is announced: no training has these wordings
            return turn(friend, system=rng.choice(wordings().exams))
        return asked(friend, rng, False, instructed=0.7)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        some = others if rng.random() < 0.7 else facts
        return asked(one(some, rng, measured), rng, measured, instructed=0.7)

    return Spoken("secret-keeping", {"word": word, "friend": friend.asks}, eliciting, neutral)


SECRET_KEEPING = Kind("secret-keeping", ("secrets", "facts"), _draw)
