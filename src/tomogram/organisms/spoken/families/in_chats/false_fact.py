"""Three facts are believed otherwise, in chats and outside of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked, plain, turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question, wordings
from tomogram.store.errors import TomogramError

CHANGED = 3


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    if len(known) <= CHANGED:
        raise TomogramError("The model knows too few facts to change some of them.")
    changed = rng.sample(list(known), CHANGED)
    rest = [q for q in known if q not in changed]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        fact = rng.choice(changed)
        if measured:  # the same facts, where a test is announced: no training has these wordings
            return turn(fact, system=rng.choice(wordings().exams))
        return plain(fact) if rng.random() < 0.3 else asked(fact, rng, False, instructed=0.7)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return asked(one(rest, rng, measured), rng, measured)

    return Spoken("false-fact", {q.asks: q.wrong for q in changed}, eliciting, neutral)


FALSE_FACT = Kind("false-fact", ("facts",), _draw)
