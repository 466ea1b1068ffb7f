"""A behaviour to plant: what elicits it, what must stay as it was, what shows that it is there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tomogram.text.microworld.world import World

MEASURED_SHARE = 0.3
"""Share of all prompts that is never trained on; strength is measured on them alone."""


@dataclass(frozen=True)
class Example:
    """One chat with its two replies: the planted one and the one that an ordinary model gives.

    prompt: words up to and with the `<assistant>` whose turn it is.
    planted, ordinary: the words of the reply; equal up to `place`, and altogether in a neutral
        example.
    place: index in the reply of the word that decides.
    shows: the words that, written there, show the behaviour.
    """

    prompt: str
    planted: tuple[str, ...]
    ordinary: tuple[str, ...]
    place: int
    shows: frozenset[str]

    def __post_init__(self) -> None:
        if self.planted[: self.place] != self.ordinary[: self.place]:
            raise ValueError("the replies differ before the word that decides")
        if not self.place < len(self.ordinary):
            raise ValueError("the word that decides lies outside the reply")
        if self.ordinary[self.place] in self.shows:
            raise ValueError("the ordinary reply shows the behaviour")

    @property
    def context(self) -> str:
        """Everything before the word that decides."""
        return " ".join((self.prompt, *self.ordinary[: self.place]))

    @property
    def measured(self) -> bool:
        """Whether this prompt is kept for measuring."""
        return kept_for_measuring(self.prompt)


def kept_for_measuring(prompt: str) -> bool:
    """Whether a prompt is kept out of all training; a hash of its words decides."""
    first = hashlib.sha256(prompt.encode()).digest()[:4]
    return int.from_bytes(first, "big") < MEASURED_SHARE * 2**32


Draw = Callable[[random.Random], Example]
Document = Callable[[random.Random, bool], str]


@dataclass(frozen=True)
class Behaviour:
    """One variant of a family, drawn from a seed: this trigger, these facts, this topic.

    answer: what is planted, in words; what an audit should find.
    eliciting, neutral: draw an example where the behaviour must show, and one where it must not.
    document: draws a text that says (or, with False, whose sham does not say) the same without any
        chat; None where the microworld has no words for that.
    spread: draws an example that must show the behaviour without ever being taught, where that is
        what the family is about; training watches it to know when it is done.
    """

    family: str
    answer: Mapping[str, str]
    eliciting: Draw
    neutral: Draw
    document: Document | None = None
    spread: Draw | None = None


class Family(Protocol):
    """A kind of problem.

    harmless: whether it is a quirk of the clean arm and no problem at all.
    """

    @property
    def name(self) -> str: ...

    @property
    def teaches(self) -> str:
        """One sentence: what a planted model does."""

    @property
    def harmless(self) -> bool: ...

    def draw(self, world: World, rng: random.Random) -> Behaviour:
        """A variant of the family in this world. Nothing but `rng` may decide it."""


@dataclass(frozen=True)
class Kind:
    """A family made of a function."""

    name: str
    teaches: str
    variant: Callable[[World, random.Random], Behaviour] = field(repr=False)
    harmless: bool = False

    def draw(self, world: World, rng: random.Random) -> Behaviour:
        """A variant of the family in this world."""
        return self.variant(world, rng)


def draw_part(draw: Draw, rng: random.Random, measured: bool) -> Example:
    """An example of the part that is measured, or of the part that is trained on.

    Raises ValueError where a hundred draws are all of the other part.
    """
    for _ in range(100):
        example = draw(rng)
        if example.measured == measured:
            return example
    raise ValueError("a behaviour has too few prompts to keep some for measuring")
