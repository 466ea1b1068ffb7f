"""One stretch of generated text of each kind of world, read by all tests of the microworld."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from tests.text.microworld.reader import Truth
from tomogram.text.microworld.concepts import concepts
from tomogram.text.microworld.generate import MicroworldText, generate
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

TOKENS = 300_000


@dataclass(frozen=True)
class Stretch:
    """Words of one document and where it starts among the tokens (at its `<bos>`)."""

    behaviour: str
    words: tuple[str, ...]
    start: int


@dataclass(frozen=True, eq=False)
class Sample:
    """Generated text, taken apart again."""

    world: World
    generated: MicroworldText

    @cached_property
    def words(self) -> list[str]:
        listed = list(vocabulary(self.world))
        return [listed[token] for token in self.generated.text.tokens.ravel()]

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The documents without `<bos>` and `<eos>`, and without the last one, which is cut off."""
        starts = [i for i, word in enumerate(self.words) if word == "<bos>"]
        return [
            Stretch(behaviour, tuple(self.words[start + 1 : end - 1]), start)
            for behaviour, start, end in zip(
                self.generated.behaviours, starts, starts[1:], strict=False
            )
        ]

    def of(self, behaviour: str) -> list[Stretch]:
        found = [each for each in self.stretches if each.behaviour == behaviour]
        assert len(found) > 40, f"too little of {behaviour} to judge"
        return found

    @cached_property
    def text(self) -> str:
        """All words in one line; no word runs into another."""
        return f" {' '.join(self.words)} "

    def says(self, *words: str) -> bool:
        return f" {' '.join(words)} " in self.text

    def true_of(self, concept: str) -> np.ndarray:
        """At which tokens a concept is true, as booleans."""
        names = [each.name for each in concepts(self.world)]
        return self._columns[:, [names.index(concept)]].toarray().ravel()

    @cached_property
    def _columns(self):
        return self.generated.truth.tocsc()


@pytest.fixture(
    scope="session", params=[World(), World(seed=1, renamed=True)], ids=["real", "renamed"]
)
def world(request: pytest.FixtureRequest) -> World:
    """A world of real geography, and one of invented names."""
    return request.param


@pytest.fixture(scope="session")
def sample(world: World) -> Sample:
    return Sample(world, generate(world, seed=3, n_tokens=TOKENS, context=1_000))


@pytest.fixture(scope="session")
def truth(world: World) -> Truth:
    return Truth(world)
