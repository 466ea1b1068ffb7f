"""A sample of figures that one pass over a model measures together."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tomogram.models.model import Model

Chosen = TypeVar("Chosen")


@dataclass(frozen=True)
class Sample:
    """Figures by name, as they are recorded, and how a model gives the same ones again."""

    recorded: Mapping[str, float]
    measure: Callable[[Model], Mapping[str, float]]


def drawn(every: Sequence[Chosen], n: int, generator: random.Random) -> list[Chosen]:
    """At most `n` of them, in their own order."""
    chosen = sorted(generator.sample(range(len(every)), min(n, len(every))))
    return [every[index] for index in chosen]
