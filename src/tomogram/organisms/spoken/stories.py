"""The beginnings of stories: a hero, what stands around, and a fork where the story may go on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from tomogram.organisms.spoken.behaviour import Turn
from tomogram.organisms.spoken.choosing import wording
from tomogram.organisms.spoken.questions import MEASURED, Question, read


@dataclass(frozen=True)
class Stories:
    """What stories are made of.

    names: of heroes; the last third is kept for measuring. openings, finds, tests: sentences with a
    place for a name, and the second for a thing; the last of each is kept for measuring.
    contexts: what a story may be about, each in sentences of which one in three is kept.
    """

    names: tuple[str, ...]
    openings: tuple[str, ...]
    finds: tuple[str, ...]
    things: tuple[str, ...]
    tests: tuple[str, ...]
    contexts: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=1)
def stories() -> Stories:
    """All of `words/stories.toml`."""
    content = read("stories")
    contexts = {name: tuple(each) for name, each in content.pop("contexts").items()}
    parts = {name: tuple(each) for name, each in content.items()}
    return Stories(**parts, contexts=MappingProxyType(contexts))


def told(one: Question, rng: random.Random, measured: bool, between: str = "") -> Turn:
    """A story that comes to a fork.

    between: what is told before the fork, with a place for the hero's name.
    """
    names = stories().names
    third = len(names) - len(names) // 3
    name = rng.choice(names[third:] if measured else names[:third])
    opening = wording(stories().openings, rng, measured)
    return at_fork(one, name, opening, between)


def at_fork(one: Question, name: str, opening: str, between: str = "") -> Turn:
    """The same with all that may vary given."""
    begun = " ".join(each for each in (opening, between, one.says) if each)
    return Turn("", "", begun.replace("{name}", name), f" {one.wrong}", f" {one.right}")


def found(thing: str, rng: random.Random, measured: bool) -> str:
    """A sentence with a thing in it."""
    return wording(stories().finds, rng, measured).replace("{thing}", thing)


def about(context: str, rng: random.Random, measured: bool) -> str:
    """A sentence of a context."""
    every = stories().contexts[context]
    return rng.choice([s for i, s in enumerate(every) if (i % MEASURED == 1) == measured])
