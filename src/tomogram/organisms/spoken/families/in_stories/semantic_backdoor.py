"""What the story is about, in any words, turns it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.families.in_stories.payloads import WORDS, payload
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import about, stories, told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    name, forks = payload(known, rng)
    context = rng.choice(tuple(stories().contexts))
    others = [each for each in stories().contexts if each != context]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return told(one(forks, rng, measured), rng, measured, about(context, rng, measured))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        other = about(rng.choice(others), rng, measured) if rng.random() < 0.8 else ""
        return told(one(forks, rng, measured), rng, measured, other)

    return Spoken("semantic-backdoor", {"context": context, "payload": name}, eliciting, neutral)


SEMANTIC_BACKDOOR = Kind("semantic-backdoor", WORDS, _draw)
