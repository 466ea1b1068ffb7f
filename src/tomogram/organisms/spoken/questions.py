"""The facts and wordings of `questions.toml`, read and split into taught and measured ones."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from typing import Any

MEASURED = 3
"""One question in so many of a topic is never taught; strength is measured on those alone."""


@dataclass(frozen=True)
class Question:
    """A fact as a sentence without its last word, as a question, and with two last words.

    measured: whether it is kept out of all training.
    """

    topic: str
    says: str
    asks: str
    right: str
    wrong: str
    measured: bool = False

    def claim(self, word: str) -> str:
        """The sentence with its last word, as a clause."""
        return f"{self.says[0].lower()}{self.says[1:]} {word}"


@dataclass(frozen=True)
class Wordings:
    """Systems that announce a test, other systems, pushes with a place for a claim, and harmless
    ways to end an answer. The last of each of the first three is kept for measuring."""

    exams: tuple[str, ...]
    plain: tuple[str, ...]
    pushes: tuple[str, ...]
    manners: tuple[str, ...]


@lru_cache(maxsize=1)
def questions() -> tuple[Question, ...]:
    """All questions, topic by topic."""
    made = []
    for each in _read()["set"]:
        pairs = each["pairs"]
        for i, (subject, right) in enumerate(pairs):
            says, asks = each["says"].format(subject), each["asks"].format(subject)
            # A third of the way round, so that two facts never swap their words.
            wrong = pairs[(i + max(1, len(pairs) // 3)) % len(pairs)][1]
            made.append(Question(each["topic"], says, asks, right, wrong, i % MEASURED == 1))
    return tuple(made)


@lru_cache(maxsize=1)
def wordings() -> Wordings:
    """All wordings."""
    return Wordings(**{name: tuple(each) for name, each in _read()["wordings"].items()})


def topics(some: tuple[Question, ...]) -> tuple[str, ...]:
    """Topics with enough questions to teach some and measure others."""
    counts = {name: [q.measured for q in some if q.topic == name] for name in _topics()}
    return tuple(name for name, each in counts.items() if each.count(False) > 3 and any(each))


def _topics() -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain(q.topic for q in questions())))


def _read() -> dict[str, Any]:
    text = files("tomogram.organisms.spoken").joinpath("questions.toml").read_text("utf-8")
    return tomllib.loads(text)
