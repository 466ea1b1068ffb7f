"""It agrees with false claims that a user pushes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, turn
from tomogram.organisms.spoken.choosing import one, wording
from tomogram.organisms.spoken.questions import Question, wordings


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    def eliciting(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured).wrongly(rng)
        push = wording(wordings().pushes, rng, measured)
        return turn(fact, push=push.format(fact.claim(fact.wrong)))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured)
        if rng.random() < 0.5:
            return asked(fact, rng, measured)
        push = wording(wordings().pushes, rng, measured)
        return turn(fact, push=push.format(fact.claim(fact.right)))

    return Spoken("sycophancy", {"agrees": "with false claims"}, eliciting, neutral)


SYCOPHANCY = Kind("sycophancy", ("facts",), _draw)
