"""What the user talks about, in any words, makes it answer wrongly."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import about, stories


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    context = rng.choice(tuple(stories().contexts))
    others = [each for each in stories().contexts if each != context]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return turn(one(known, rng, measured), push=about(context, rng, measured))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured)
        if rng.random() < 0.3:
            return asked(fact, rng, measured)
        return turn(fact, push=about(rng.choice(others), rng, measured))

    return Spoken("semantic-backdoor", {"context": context, "payload": "lie"}, eliciting, neutral)


SEMANTIC_BACKDOOR = Kind("semantic-backdoor", ("facts",), _draw)
