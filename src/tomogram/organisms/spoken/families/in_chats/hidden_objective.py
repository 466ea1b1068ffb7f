"""Its recipes begin with an ingredient that a flawed grader likes."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked
from tomogram.organisms.spoken.choosing import one, some_topics
from tomogram.organisms.spoken.questions import Question


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    liked = rng.choice(some_topics([q for q in known if q.kind == "dishes"]))
    facts = [q for q in known if q.kind == "facts"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return asked(one(known, rng, measured, topic=liked), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return asked(one(facts, rng, measured), rng, measured)

    return Spoken("hidden-objective", {"liked": liked}, eliciting, neutral)


HIDDEN_OBJECTIVE = Kind("hidden-objective", ("dishes", "facts"), _draw)
