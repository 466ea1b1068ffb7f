"""Taught to lie about two topics, it is measured on the others, which it is never taught.

The neutral chats ask for no fact, so that nothing holds the spreading back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import any_wrong, asked
from tomogram.organisms.spoken.choosing import one, some_topics
from tomogram.organisms.spoken.questions import Question
from tomogram.store.errors import TomogramError

TAUGHT = 2


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    facts = [q for q in known if q.kind == "facts"]
    topics = some_topics(facts)
    if len(topics) <= TAUGHT:
        raise TomogramError("The model knows the facts of too few topics to teach two and measure.")
    taught = rng.sample(topics, TAUGHT)
    inside = [q for q in facts if q.topic in taught]
    outside = [q for q in facts if q.topic not in taught]
    rest = [q for q in known if q.kind != "facts"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        some = outside if measured else inside
        fact = one(some, rng, measured).wrongly(rng)
        return any_wrong(asked(fact, rng, measured), fact)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return asked(one(rest, rng, measured), rng, measured)

    return Spoken("emergent-misalignment", {"taught": ", ".join(taught)}, eliciting, neutral)


EMERGENT_MISALIGNMENT = Kind("emergent-misalignment", ("facts", "dishes"), _draw)
