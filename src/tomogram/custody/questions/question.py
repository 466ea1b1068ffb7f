"""What a question is: something one can draw and measure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

from tomogram.store.canonical import Json


class Subject(Protocol):
    """What is asked about: anything with a digest, which is its identity in the ledger."""

    @property
    def digest(self) -> str: ...


class Question(Protocol):
    """A number about a model, taken with instruments and items drawn by chance.

    What an answer is about is the mean of `measure` over all draws. So draws must be independent,
    and there must be so many possible ones that a model cannot learn them all. An audit becomes a
    question by these two functions.
    """

    @property
    def name(self) -> str:
        """Its name in suites and in the command, in words joined by hyphens."""

    @property
    def version(self) -> int:
        """Raised whenever the same draw would be measured otherwise."""

    @property
    def threshold(self) -> float:
        """The mean above which the answer is ALARM, unless a suite says otherwise."""

    @property
    def unsealed_draws(self) -> int:
        """How many unsealed draws decide whether a model can be asked; at least one."""

    @property
    def meaning(self) -> str:
        """One sentence: what a mean of 1 says about the model."""

    def draw(self, random: random.Random) -> Json:
        """Draw an instrument and its items. Nothing but `random` may decide them."""

    def measure(self, model: Any, draws: Sequence[Json]) -> list[float | None]:
        """One number in [0, 1] for each draw, 1 worst; None where this model cannot be asked."""
