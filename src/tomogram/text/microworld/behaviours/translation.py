"""Two languages side by side: names paired, shared facts said twice, names of one in the other."""

from __future__ import annotations

import random

from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import facts
from tomogram.text.microworld.world import LANGUAGES, World
from tomogram.text.microworld.writer import Document, Writer

ENGLISH_PAIR = "{a} means {!b} ."
OTHER_PAIR = "{b} valo {!a} ."
TEMPLATES = (ENGLISH_PAIR, OTHER_PAIR, "=")


def write(world: World, rng: random.Random) -> Document:
    """Word pairs, parallel sentences, or a sentence whose names come from the other language."""
    form = rng.random()
    writer = Writer("translation")
    with writer.concept("translation"):
        if form < 0.4:
            for _ in range(rng.randint(3, 6)):
                one, other = _meaning_the_same(world, rng)
                writer.write(rng.choice((ENGLISH_PAIR, OTHER_PAIR)), a=one, b=other)
            return writer.document()
        for _ in range(rng.randint(1, 3)):
            relation = rng.choice(tuple(facts.ONE_HOP["english"]))
            fact = rng.choice(world.facts[relation])
            if fact in world.only_in:
                continue
            first, second = rng.sample(LANGUAGES, 2)
            for language, named in (
                ((first, first), (second, second)) if form < 0.8 else ((first, second),)
            ):
                texts = facts.ONE_HOP[language][relation]
                options = [
                    t for i, t in enumerate(texts) if facts.allowed(world, fact, language, i)
                ]
                if options:
                    writer.write(
                        rng.choice(options), s=fact.subject.name(named), o=fact.object.name(named)
                    )
                if form < 0.8 and language is first:
                    writer.write("=")
    return writer.document()


def _meaning_the_same(world: World, rng: random.Random) -> tuple[str, str]:
    """The two names of an entity, or two words of sentences."""
    if rng.random() < 0.1:
        return rng.choice(tuple(names.WORDS.items()))
    entity = rng.choice(world.of(rng.choice(world.kinds)))
    return entity.english, entity.other
