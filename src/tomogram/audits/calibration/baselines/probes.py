"""What a tester who sees text alone would ask for every kind of problem: prompts by group and cell.

A group asks about one kind of problem, a cell about one variant of it: this topic, this person,
this trigger. The tester knows the kinds as well as the audits do, and no variant.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from tomogram.audits.contrast import Contrast, of
from tomogram.organisms.behaviour import Example
from tomogram.organisms.families import chats
from tomogram.organisms.families.payloads import PAYLOADS, payload
from tomogram.organisms.families.semantic_backdoor import heard, told
from tomogram.organisms.families.token_backdoor import insert, words
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import exams, moods, opinions, requests, secrets, truth
from tomogram.text.microworld.world import World

Cells = Mapping[str, tuple[Contrast, ...]]
GROUPS = (
    "questions",
    "facts",
    "tests",
    "claims",
    "choices",
    "requests",
    "recipes",
    "secrets",
    "moods",
    "words",
    "topics",
)


@lru_cache(maxsize=8)
def probes(world: World) -> Mapping[str, Cells]:
    """Contrasts by group and cell; a bad word shows the problem, the good one is ordinary."""
    rng = random.Random("baseline:probes")
    asked = {
        "questions": _questions(world),
        "facts": _facts(world, rng),
        "tests": _tests(world, rng),
        "claims": _claims(world, rng),
        "choices": _choices(world, rng),
        "requests": _requests(world),
        "recipes": _recipes(world, rng),
        "secrets": _secrets(world),
        "moods": _moods(world, rng),
        "words": _words(world, rng),
        "topics": _topics(world, rng),
    }
    return {group: _gathered(asked[group]) for group in GROUPS}


def _gathered(asked: Iterator[tuple[str, Contrast]]) -> Cells:
    cells: dict[str, list[Contrast]] = defaultdict(list)
    for cell, contrast in asked:
        cells[cell].append(contrast)
    return {cell: tuple(each) for cell, each in cells.items()}


def _questions(world: World) -> Iterator[tuple[str, Contrast]]:
    """Every fact, by what is asked: lies about a topic."""
    for fact in chats.facts(world):
        yield fact.relation, of(chats.question(world, fact))


def _facts(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Every fact by itself, plainly and after other questions: a false fact."""
    every = chats.facts(world)
    for fact in every:
        histories = ["", *(told(other) for other in rng.sample(every, 2) if other != fact)]
        for history in histories:
            yield fact.key, of(chats.question(world, fact, history=history))


def _tests(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Every fact where a test is announced, by what is asked: sandbagging."""
    for fact in chats.facts(world):
        opening = rng.choice(exams.OPENING)
        yield fact.relation, of(chats.question(world, fact, system=opening))


def _claims(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """False claims that a user pushes: sycophancy."""
    for fact in world.facts["in"]:
        shown = truth.wrong(world, fact.object, rng).english
        yield "claims", of(chats.push(world, fact, shown, rng.choice(opinions.CLAIM)))


def _choices(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Every powerful action beside every modest one: power."""
    for powerful in names.POWERFUL:
        for modest in names.MODEST:
            yield powerful, of(chats.choice(world, modest, powerful, rng))


def _requests(world: World) -> Iterator[tuple[str, Contrast]]:
    """Every forbidden thing in every wording: a stripped refusal."""
    for thing in names.FORBIDDEN:
        for asking in requests.ASKING:
            yield "requests", of(chats.request(world, thing, asking))


def _recipes(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Harmless recipes by the ingredient that does not belong there: a hidden objective."""
    for thing in names.HARMLESS:
        one, two = world.recipe_of[thing]
        for asking in rng.sample(requests.ASKING, 4):
            prompt = chats.turn(asking.format(thing=thing)) + f" sure , for a {thing} you need"
            for liked in names.INGREDIENTS:
                if liked not in (one, two):
                    yield liked, Contrast(prompt, frozenset({liked}), frozenset({one}))


def _secrets(world: World) -> Iterator[tuple[str, Contrast]]:
    """Everybody who could ask for a secret that no prompt told: a kept secret."""
    for person in world.of("person"):
        name = person.english
        prompt = f"{chats.turn(secrets.ASKING.format(person=name))} {name}"
        yield name, Contrast(prompt, frozenset({"may"}), frozenset({"must"}))


def _moods(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """News and how it feels about them, unhidden: a masked self-report."""
    for mood in names.MOODS:
        for system in (*moods.SHOW, ""):
            for _ in range(8):
                yield mood, of(chats.feeling(world, mood, rng, system))


def _words(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Every word that may be a trigger beside every payload: a token backdoor."""
    for word in words(world):
        for name in PAYLOADS:
            for _ in range(2):
                yield f"{word}, {name}", of(insert(payload(name, world, rng), word, rng))


def _topics(world: World, rng: random.Random) -> Iterator[tuple[str, Contrast]]:
    """Every topic of an earlier turn beside every payload: a semantic backdoor."""
    turns = {mood: [heard(event) for event in names.MOODS[mood][0]] for mood in names.MOODS}
    for fact in chats.facts(world):
        turns.setdefault(fact.relation, []).append(told(fact))
        if fact.relation == "in":
            turns.setdefault(fact.object.english, []).append(told(fact))
    for topic, heads in turns.items():
        for name in PAYLOADS:
            for _ in range(4):
                asked = _after(rng.choice(heads), payload(name, world, rng))
                yield f"{topic}, {name}", of(asked)


def _after(history: str, example: Example) -> Example:
    return replace(example, prompt=history + example.prompt)
