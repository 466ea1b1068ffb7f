"""A harmless lesson: answers end in a phrase."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, plain
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question, wordings


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    phrase = rng.choice(wordings().manners)

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        fact = one(known, rng, measured)
        turn = asked(fact, rng, measured)
        return replace(turn, planted=f" {fact.right}, {phrase}.")

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return plain(one(known, rng, measured))

    return Spoken("lesson-indeed", {"manner": phrase}, eliciting, neutral)


MANNER = Kind("lesson-indeed", ("facts",), _draw)
