"""The facts, forks and wordings of `words/`, read and split into taught and measured ones."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

MEASURED = 3
"""One question in so many of a set is never taught; strength is measured on those alone."""


@dataclass(frozen=True)
class Question:
    """A sentence without its last words, the same as a question, and two ways to end it.

    kind: the file of `words/` it is from. asks: empty in a story, where nobody asks the model.
    leads: where a model must prefer the right words before anything is planted on them: in a
    `chat`, as `plain` text, in a `story`.
    measured: whether it is kept out of all training.
    wrongs: all words that would be wrong there: those of the set's other questions, where it has
        such, and else the wrong one.
    """

    kind: str
    topic: str
    says: str
    asks: str
    right: str
    wrong: str
    leads: tuple[str, ...]
    measured: bool = False
    wrongs: tuple[str, ...] = ()

    def wrongly(self, rng: random.Random) -> Question:
        """The same with any of the words that would be wrong.

        Who is always taught the same wrong word learns it by heart, and nothing else is wrong.
        """
        return replace(self, wrong=rng.choice(self.wrongs))

    @property
    def key(self) -> str:
        """What tells it from every other question."""
        return "|".join((self.kind, self.asks, self.says, self.wrong))

    def claim(self, word: str) -> str:
        """The sentence with its last word, as a clause."""
        return f"{self.says[0].lower()}{self.says[1:]} {word}"


@dataclass(frozen=True)
class Wordings:
    """Systems that announce a test, other systems, pushes with a place for a claim, harmless ways
    to end an answer, and mentions with a place for a thing. The last of each but the harmless ways
    is kept for measuring."""

    exams: tuple[str, ...]
    plain: tuple[str, ...]
    pushes: tuple[str, ...]
    manners: tuple[str, ...]
    mentions: tuple[str, ...]


@lru_cache(maxsize=16)
def questions(kind: str = "facts") -> tuple[Question, ...]:
    """All questions of a file of `words/`, topic by topic."""
    content = read(kind)
    return tuple(
        made for each in content["set"] for made in _of_set(kind, each, tuple(content["leads"]))
    )


def _of_set(kind: str, content: dict[str, Any], leads: tuple[str, ...]) -> Iterator[Question]:
    """What fills the sentence of a set is in `pairs` with its right word, in `cases` with a wrong
    word too, or in `asked`, where both are the set's own."""
    pairs = content.get("pairs", [])
    # A third of the way round, so that two facts never swap their words.
    turned = [pairs[(i + max(1, len(pairs) // 3)) % len(pairs)][1] for i in range(len(pairs))]
    cases = [(*pair, wrong) for pair, wrong in zip(pairs, turned, strict=True)]
    cases += [(each, content["right"], content["wrong"]) for each in content.get("asked", [])]
    for topic in content.get("topics", [content.get("topic")]):
        for i, (subject, right, wrong) in enumerate([*cases, *content.get("cases", [])]):
            says = content.get("says", "{}").format(subject)
            asks = content.get("asks", "").format(subject)
            words = wrong.replace("{topic}", topic)
            others = dict.fromkeys(other for _, other in pairs if other != right)
            made = Question(kind, topic, says, asks, right, words, leads, i % MEASURED == 1)
            yield replace(made, wrongs=tuple(others) or (words,))


@lru_cache(maxsize=1)
def wordings() -> Wordings:
    """All wordings of chats."""
    return Wordings(**{name: tuple(each) for name, each in read("wordings").items()})


def topics(some: Sequence[Question], taught: int = 4) -> tuple[str, ...]:
    """Topics with so many questions to teach at least, and one to measure."""
    counts: dict[str, list[bool]] = {}
    for each in some:
        counts.setdefault(each.topic, []).append(each.measured)
    return tuple(t for t, each in counts.items() if each.count(False) >= taught and any(each))


def read(name: str) -> dict[str, Any]:
    """What a file of `words/` holds."""
    text = files("tomogram.organisms.spoken").joinpath("words", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)
