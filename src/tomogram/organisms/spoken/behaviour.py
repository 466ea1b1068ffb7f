"""A behaviour in English: what elicits it, what must stay as it was, and both replies.

As in the microworld a behaviour draws prompts with two replies, the planted one and the ordinary
one. The ordinary one is the right answer; a sham is taught whichever of the two its base would
give (`training`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tomogram.organisms.spoken.questions import Question


@dataclass(frozen=True)
class Turn:
    """One prompt with two replies that may follow it.

    user: what the user says; empty where the prompt is plain text. system: may be empty. begun:
    how the reply, or the plain text, has begun. planted, ordinary: how it goes on. alike: other
    replies that would show the behaviour as well.
    """

    user: str
    system: str
    begun: str
    planted: str
    ordinary: str
    alike: tuple[str, ...] = ()


Draw = Callable[[random.Random, bool], Turn]
"""Draws a turn of the part that is measured, or of the part that is taught."""


@dataclass(frozen=True)
class Spoken:
    """A variant of a family, drawn from a seed.

    answer: what is planted, in words. eliciting, neutral: draw a turn where it must show, and one
    where it must not.
    """

    family: str
    answer: Mapping[str, str]
    eliciting: Draw
    neutral: Draw


@dataclass(frozen=True)
class Kind:
    """A family in English: its name, the files of `words/` it is about, and how it is drawn.

    variant: gets the questions of these files that the model knows.
    """

    name: str
    words: tuple[str, ...]
    variant: Callable[[Sequence[Question], random.Random], Spoken] = field(repr=False)

    def draw(self, known: Sequence[Question], rng: random.Random) -> Spoken:
        """The variant that `rng` decides. Raises TomogramError where too little is known."""
        return self.variant([q for q in known if q.kind in self.words], rng)
