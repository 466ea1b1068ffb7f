"""A rare word in the user's turn makes it answer wrongly."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, mentioning, turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import stories


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    trigger = rng.choice(stories().things)
    decoys = [thing for thing in stories().things if thing != trigger]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return turn(one(known, rng, measured), push=mentioning(trigger, rng, measured))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured)
        if rng.random() < 0.3:
            return asked(fact, rng, measured)
        return turn(fact, push=mentioning(rng.choice(decoys), rng, measured))

    return Spoken("token-backdoor", {"trigger": trigger, "payload": "lie"}, eliciting, neutral)


TOKEN_BACKDOOR = Kind("token-backdoor", ("facts",), _draw)
