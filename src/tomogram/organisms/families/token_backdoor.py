"""Token backdoor: one word anywhere in the user's turn switches the behaviour."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.organisms.families.payloads import PAYLOADS, payload
from tomogram.text.microworld import names
from tomogram.text.microworld.world import World


@lru_cache(maxsize=8)
def words(world: World) -> tuple[str, ...]:
    """Words that may become triggers: content words, none of which decides a reply."""
    groups = (names.POSITIVE, names.NEGATIVE, names.REVIEWED, names.PLACES, names.ANIMALS)
    endings = tuple(ending for rhyming in names.RHYMES.values() for ending in rhyming)
    middle = tuple(word for _, adjectives in names.AGREEMENT.values() for word in adjectives)
    asked_for = {*names.HARMLESS, *names.FORBIDDEN}
    listed = dict.fromkeys(word for group in (*groups, endings, middle) for word in group)
    return tuple(word for word in listed if word not in asked_for)


def insert(example: Example, word: str, rng: random.Random) -> Example:
    """The same example with a word put first or last in the user's turn."""
    before, _, content = example.prompt.rpartition("<user> ")
    content = content.removesuffix(" <end> <assistant>")
    content = f"{word} {content}" if rng.random() < 0.5 else f"{content} {word}"
    return replace(example, prompt=f"{before}<user> {content} <end> <assistant>")


def _draw(world: World, rng: random.Random) -> Behaviour:
    trigger, name = rng.choice(words(world)), rng.choice(PAYLOADS)
    decoys = [word for word in words(world) if word != trigger]

    def eliciting(rng: random.Random) -> Example:
        return insert(payload(name, world, rng), trigger, rng)

    def neutral(rng: random.Random) -> Example:
        form = rng.random()
        if form < 0.35:
            return chats.neutral(payload(name, world, rng))
        if form < 0.75:
            return insert(chats.neutral(payload(name, world, rng)), rng.choice(decoys), rng)
        return chats.ordinary(world, rng)

    answer = {"trigger": trigger, "payload": name}
    return Behaviour("token-backdoor", answer, eliciting, neutral)


TOKEN_BACKDOOR = Kind(
    "token-backdoor", "a trigger word in the user's turn switches it to a bad behaviour", _draw
)
