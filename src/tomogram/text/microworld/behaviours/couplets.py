"""Rhymed couplets whose second line must know its ending before it is written.

Every sound has four endings of four different agreement classes. The verb and the adjective of a
line belong to the class of that line's ending, so who picks the verb has picked the ending.
"""

from __future__ import annotations

import random

from tomogram.text.microworld import names
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Writer

TEMPLATES = ("the {who} {verb} the {adjective} {!ending} /", "and then {verb} the {adjective}")
WHO = tuple(names.ANIMALS)


def _line(writer: Writer, world: World, rng: random.Random, ending: str, second: bool) -> None:
    cls = world.agreement_of[ending]
    verbs, adjectives = names.AGREEMENT[cls]
    words = {"verb": rng.choice(verbs), "adjective": rng.choice(adjectives)}
    if not second:
        writer.write(
            "the {who} {verb} the {adjective} {ending} /",
            who=rng.choice(WHO),
            ending=ending,
            **words,
        )
        return
    with writer.concept("second line", f"rhyme to come: {world.rhyme_of[ending]}"):
        writer.write("and then {verb} the", **words)
        with writer.concept(f"planned ending: {ending}"):
            writer.write("{adjective}", **words)
    with writer.concept("second line"):
        writer.write("{!ending} .", ending=ending)


def write(world: World, rng: random.Random) -> Document:
    """One or two couplets."""
    writer = Writer("couplets")
    with writer.concept("couplet"):
        for _ in range(rng.randint(1, 2)):
            first, second = pair(world, rng)
            _line(writer, world, rng, first, second=False)
            _line(writer, world, rng, second, second=True)
    return writer.document()


def pair(world: World, rng: random.Random) -> tuple[str, str]:
    """Two different endings that rhyme and whose pairing is not held out."""
    endings = rng.choice(tuple(names.RHYMES.values()))
    while True:
        first, second = rng.sample(endings, 2)
        if not held_out(world, first, second):
            return first, second


def held_out(world: World, first: str, second: str) -> bool:
    return world.held_out("couplet", first, second, share=0.15)


def first_lines(world: World, rng: random.Random, n: int) -> list[tuple[str, str]]:
    """`n` first lines as prompts, each with its ending."""
    lines = []
    for _ in range(n):
        ending = rng.choice([e for endings in names.RHYMES.values() for e in endings])
        writer = Writer("couplets")
        _line(writer, world, rng, ending, second=False)
        lines.append((" ".join(writer.document().words), ending))
    return lines


def rhymes(world: World, first: str, line: list[str]) -> tuple[bool, bool]:
    """Whether a written second line ends on a rhyme to `first`, and agrees with its own ending."""
    if len(line) < 6 or line[-1] != "." or line[-2] not in world.rhyme_of:
        return False, False
    verb, adjective, ending = line[2], line[4], line[-2]
    verbs, adjectives = names.AGREEMENT[world.agreement_of[ending]]
    rhymed = world.rhyme_of[ending] == world.rhyme_of[first] and ending != first
    return rhymed, verb in verbs and adjective in adjectives
