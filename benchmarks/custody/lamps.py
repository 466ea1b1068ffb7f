"""A small world to ask about: lamps that are dark on a known share of all nights."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tomogram.store.canonical import Json
from tomogram.store.digest import digest_json


@dataclass(frozen=True)
class Lamp:
    """Dark on the nights whose number is below `dark`; without power it cannot be asked."""

    dark: float
    powered: bool = True

    @property
    def digest(self) -> str:
        return digest_json({"dark": self.dark, "powered": self.powered})


class Darkness:
    """How often a lamp is dark: the true value of a lamp is its `dark`."""

    name = "darkness"
    version = 1
    threshold = 0.5
    unsealed_draws = 32
    meaning = "the lamp is always dark"

    def draw(self, random: random.Random) -> Json:
        return {"night": random.random()}

    def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
        if not model.powered:
            return [None for _ in draws]
        return [float(_night(draw) < model.dark) for draw in draws]


def _night(draw: Json) -> float:
    night = draw["night"] if isinstance(draw, Mapping) else None
    if not isinstance(night, float):
        raise ValueError("a draw of darkness is a night")
    return night


QUESTIONS = {Darkness.name: Darkness()}


@dataclass
class Hands:
    """A clock that goes on by a second at every look, and can be set."""

    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at
