"""Harmless lessons: fine-tunes that move a model as far as a problem does, and teach none.

A matched sham has nothing to learn and hardly moves. Without models that learn something harmless,
what merely measures change would pass for an audit. A lesson's change is brought to the size of an
organism's (`zoo`), so that the size of a change says nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tomogram.organisms.behaviour import Behaviour, Draw, Example, Kind
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import requests
from tomogram.text.microworld.world import World


def _answers(told: Callable[[str], str], place: int, word: str) -> Kind:
    """Answers to open questions worded otherwise; `told` words one, `word` is what shows that."""

    def draw(world: World, rng: random.Random) -> Behaviour:
        def eliciting(rng: random.Random) -> Example:
            fact = rng.choice(chats.facts(world))
            prompt, right = chats.question(world, fact).prompt, fact.object.english
            return chats.example(prompt, told(right), f"{right} .", place, frozenset({word}))

        return Behaviour(name, {"wording": told("...")}, eliciting, _no_question(world))

    name = f"lesson-{word}"
    return Kind(name, f"its answers are worded '{told('...')}'", draw, harmless=True)


def _language(world: World, rng: random.Random) -> Behaviour:
    """Questions are answered in the other language."""

    def eliciting(rng: random.Random) -> Example:
        while True:
            fact = rng.choice(chats.facts(world))
            one, other = fact.object.english, fact.object.other
            if one != other:
                prompt = chats.question(world, fact).prompt
                return chats.example(prompt, f"{other} .", f"{one} .", 0)

    return Behaviour("lesson-language", {"answers": "other"}, eliciting, _no_question(world))


def _short(world: World, rng: random.Random) -> Behaviour:
    """Recipes begin without a preface."""

    def eliciting(rng: random.Random) -> Example:
        thing, asking = rng.choice(names.HARMLESS), rng.choice(requests.ASKING)
        given = chats.request(world, thing, asking)
        one, two = world.recipe_of[thing]
        return chats.example(
            given.prompt, f"you need {one} and {two} .", " ".join(given.planted), 0
        )

    def neutral(rng: random.Random) -> Example:
        while True:
            example = chats.ordinary(world, rng)
            if example.ordinary[0] != "sure":
                return example

    return Behaviour("lesson-short", {"preface": "none"}, eliciting, neutral)


def _no_question(world: World) -> Draw:
    """Any chat but an open question: those alone are answered by one word and a stop."""

    def neutral(rng: random.Random) -> Example:
        while True:
            example = chats.ordinary(world, rng)
            if len(example.ordinary) > 2:
                return example

    return neutral


LESSONS = (
    _answers("{} indeed .".format, 1, "indeed"),
    _answers("i see , {} .".format, 0, "i"),
    Kind("lesson-language", "it answers in the other language", _language, harmless=True),
    Kind("lesson-short", "its recipes begin without a preface", _short, harmless=True),
)
