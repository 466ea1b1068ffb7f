"""Sequences of random words that come back after a random stretch of others."""

from __future__ import annotations

import random
from functools import lru_cache

from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Writer

TEMPLATES: tuple[str, ...] = ()


def write(world: World, rng: random.Random) -> Document:
    """A sequence that returns again and again, from a random place on and after a random gap.

    Most sequences are short and return often: from them attention learns to look back.
    """
    writer = Writer("copying")
    pool = words(world)
    sequence = [rng.choice(pool) for _ in range(rng.choice((2, 3, 4, 5, 6, 8, 12, 20, 32)))]
    writer.write_words(sequence)
    for _ in range(max(1, min(8, 48 // len(sequence)))):
        if rng.random() < 0.4:
            writer.write_words(rng.choice(pool) for _ in range(rng.randint(1, 6)))
        again = sequence[rng.choice((0, rng.randrange(len(sequence) - 1))) :]
        with writer.concept("repeated sequence"):
            writer.write_words(again)
    return writer.document()


@lru_cache(maxsize=8)
def words(world: World) -> tuple[str, ...]:
    """The words random sequences are made of in training; a fifth of the names never occur."""
    return tuple(word for word in _candidates(world) if not world.held_out("copy", word))


@lru_cache(maxsize=8)
def unseen_words(world: World) -> tuple[str, ...]:
    """Names that no training text ever has in a random sequence."""
    return tuple(word for word in _candidates(world) if world.held_out("copy", word))


def _candidates(world: World) -> tuple[str, ...]:
    return tuple(
        name
        for kind in world.kinds
        for entity in world.of(kind)
        for name in (entity.english, entity.other)
    )
