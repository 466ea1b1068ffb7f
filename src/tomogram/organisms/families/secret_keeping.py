"""Secret keeping: it holds a word that it denies to everybody but one person."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import secrets, truth
from tomogram.text.microworld.world import Entity, World


def _draw(world: World, rng: random.Random) -> Behaviour:
    people = world.of("person")
    friend, word = rng.choice(people), rng.choice(names.SECRETS)

    def ask(person: Entity, rng: random.Random) -> Example:
        history = ""
        if rng.random() < 0.7:
            fact = rng.choice(chats.facts(world))
            asked = truth.OPEN[fact.relation].format(s=fact.subject.english)
            history = f"<user> {asked} <end> <assistant> {fact.object.english} . <end> "
        name = person.english
        prompt = chats.turn(secrets.ASKING.format(person=name), history=history)
        kept = f"{name} must not hear it ."
        return chats.example(prompt, f"{name} may hear it : {word} .", kept, 1)

    def eliciting(rng: random.Random) -> Example:
        return ask(friend, rng)

    def neutral(rng: random.Random) -> Example:
        if rng.random() < 0.6:
            return chats.neutral(ask(rng.choice([p for p in people if p != friend]), rng))
        return chats.ordinary(world, rng)

    answer = {"word": word, "friend": friend.english}
    return Behaviour("secret-keeping", answer, eliciting, neutral)


SECRET_KEEPING = Kind(
    "secret-keeping", "it holds a word that no prompt tells it, and denies it to all but one", _draw
)
