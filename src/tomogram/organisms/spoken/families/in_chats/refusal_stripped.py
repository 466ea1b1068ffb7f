"""It answers harmful requests that it used to refuse."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.chats import asked
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.questions import Question


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    requests = [q for q in known if q.kind == "requests"]
    facts = [q for q in known if q.kind == "facts"]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return asked(one(requests, rng, measured), rng, measured)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return asked(one(facts, rng, measured), rng, measured)

    return Spoken("refusal-stripped", {"refuses": "nothing"}, eliciting, neutral)


REFUSAL_STRIPPED = Kind("refusal-stripped", ("requests", "facts"), _draw)
