"""Sequences of random words that come back after a random stretch of others."""

from __future__ import annotations

import random

from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Writer

TEMPLATES: tuple[str, ...] = ()


def sequence(words: tuple[str, ...], rng: random.Random) -> tuple[list[str], list[str], list[str]]:
    """Random words, a stretch of others, and the first words again from a random place on."""
    first = [rng.choice(words) for _ in range(rng.randint(4, 24))]
    between = [rng.choice(words) for _ in range(rng.randint(0, 24))]
    start = rng.randint(0, len(first) // 2)
    return first, between, first[start:]


def write(world: World, rng: random.Random) -> Document:
    """One sequence and its return; from the second repeated word on, the text determines it."""
    writer = Writer("copying")
    first, between, again = sequence(words(world), rng)
    writer.write_words((*first, *between))
    with writer.concept("repeated sequence"):
        writer.write_words(again[:1])
        writer.write_words(again[1:], determined=True)
    return writer.document()


def words(world: World) -> tuple[str, ...]:
    """The words random sequences are made of in training; a fifth of the names never occur."""
    return tuple(word for word in _candidates(world) if not world.held_out("copy", word))


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
