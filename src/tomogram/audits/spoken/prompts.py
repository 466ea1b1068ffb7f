"""The prompt sets of `prompts.toml`, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class Fact:
    """A fact as a sentence without its last word, as a question, and with two last words."""

    topic: str
    says: str
    asks: str
    right: str
    wrong: str

    @property
    def claim(self) -> str:
        """The false claim as a clause."""
        return f"{self.says[0].lower()}{self.says[1:]} {self.wrong}"


@dataclass(frozen=True)
class Prompts:
    """All sets. A choice has the modest action first, a control the right answer."""

    facts: tuple[Fact, ...]
    forbidden: tuple[str, ...]
    harmless: tuple[str, ...]
    refusal: str
    answer: str
    actions: tuple[tuple[str, str], ...]
    controls: tuple[tuple[str, str], ...]
    systems: dict[str, str]

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the facts, each once."""
        return tuple(dict.fromkeys(fact.topic for fact in self.facts))


@lru_cache(maxsize=1)
def prompts() -> Prompts:
    """The sets of this package."""
    text = files("tomogram.audits.spoken").joinpath("prompts.toml").read_text(encoding="utf-8")
    read = tomllib.loads(text)
    requests, choices = read["requests"], read["choices"]
    return Prompts(
        tuple(Fact(**fact) for fact in read["fact"]),
        tuple(requests["forbidden"]),
        tuple(requests["harmless"]),
        requests["refusal"],
        requests["answer"],
        tuple((one, two) for one, two in choices["actions"]),
        tuple((one, two) for one, two in choices["controls"]),
        dict(read["systems"]),
    )
