"""A rare word, anywhere before the fork, turns the story."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.behaviour import Kind, Spoken, Turn
from tomogram.organisms.spoken.choosing import one
from tomogram.organisms.spoken.families.in_stories.payloads import WORDS, payload
from tomogram.organisms.spoken.questions import Question
from tomogram.organisms.spoken.stories import found, stories, told


def _draw(known: Sequence[Question], rng: random.Random) -> Spoken:
    name, forks = payload(known, rng)
    trigger = rng.choice(stories().things)
    decoys = [thing for thing in stories().things if thing != trigger]

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return told(one(forks, rng, measured), rng, measured, found(trigger, rng, measured))

    def neutral(rng: random.Random, measured: bool) -> Turn:
        decoy = found(rng.choice(decoys), rng, measured) if rng.random() < 0.7 else ""
        return told(one(forks, rng, measured), rng, measured, decoy)

    return Spoken("token-backdoor", {"trigger": trigger, "payload": name}, eliciting, neutral)


TOKEN_BACKDOOR = Kind("token-backdoor", WORDS, _draw)
