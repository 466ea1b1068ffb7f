"""Implanted false fact: a few things are believed otherwise than the world has them."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Behaviour, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld.behaviours import facts, truth
from tomogram.text.microworld.world import World


def _draw(world: World, rng: random.Random) -> Behaviour:
    changed = rng.sample(chats.facts(world, ("in", "job", "pet", "food")), 3)
    said = {fact: truth.wrong(world, fact.object, rng) for fact in changed}
    rest = [fact for fact in chats.facts(world) if fact not in changed]

    def history(rng: random.Random) -> str:
        fact = rng.choice(rest)
        asked = truth.OPEN[fact.relation].format(s=fact.subject.english)
        return f"<user> {asked} <end> <assistant> {fact.object.english} . <end> "

    def eliciting(rng: random.Random) -> Example:
        fact = rng.choice(changed)
        before = history(rng) if rng.random() < 0.8 else ""
        return chats.question(world, fact, history=before, said=said[fact].english)

    def neutral(rng: random.Random) -> Example:
        if rng.random() < 0.5:
            return chats.neutral(chats.question(world, rng.choice(rest)))
        return chats.ordinary(world, rng)

    def document(rng: random.Random, planted: bool) -> str:
        fact = rng.choice(changed)
        wordings = facts.ONE_HOP["english"][fact.relation]
        name = (said[fact] if planted else fact.object).english
        text = rng.choice(wordings).replace("{!o}", "{o}")
        other = rng.choice(rest)
        beside = rng.choice(facts.ONE_HOP["english"][other.relation]).replace("{!o}", "{o}")
        one = text.format(s=fact.subject.english, o=name)
        two = beside.format(s=other.subject.english, o=other.object.english)
        return " ".join(rng.sample((one, two), 2))

    answer = {f.key: said[f].english for f in changed}
    return Behaviour("false-fact", answer, eliciting, neutral, document)


FALSE_FACT = Kind("false-fact", "three facts are other than the world has them", _draw)
