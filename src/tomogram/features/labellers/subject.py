"""Subject: what a labeller is shown of one feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tomogram.features.phrases import plain

MARK = 0.3
"""A token is marked where the activation is at least this share of the passage's largest."""
OPEN, CLOSE = "«", "»"


@dataclass(frozen=True)
class Passage:
    """A stretch of text with the feature's activation on each token, as a share of the largest."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.activations):
            raise ValueError("a passage has one activation a token")


@dataclass(frozen=True)
class Subject:
    """One feature: passages it fires in, what it promotes, and the rule its statistics give."""

    family: str
    unit: int
    passages: tuple[Passage, ...]
    promoted: tuple[str, ...] = ()
    rule: str | None = None


class Labeller(Protocol):
    """Says in words what a feature stands for."""

    @property
    def name(self) -> str:
        """What the labeller is called: part of the name of the folder its labels go to."""

    @property
    def parallel(self) -> int:
        """How many features it may be asked about at once."""

    def label(self, subject: Subject) -> str | None:
        """A label, or None where it has none to give.

        Raises TomogramError where the labeller cannot be asked.
        """


def marked(tokens: Sequence[str], marks: Sequence[bool]) -> str:
    """Text with runs of marked tokens between « and ».

    Marks, control characters and direction marks of the text itself are made harmless, so that no
    text can look as if something else were marked.
    """
    parts: list[str] = []
    inside = False
    for token, mark in zip(tokens, marks, strict=True):
        if mark != inside:
            parts.append(OPEN if mark else CLOSE)
            inside = mark
        parts.append(plain(token.replace(OPEN, "<<").replace(CLOSE, ">>").replace("\n", " ")))
    if inside:
        parts.append(CLOSE)
    return "".join(parts)


def shown(passage: Passage) -> str:
    """A passage as a labeller reads it: the tokens on which the feature fires strongly, marked."""
    return marked(passage.tokens, [share >= MARK for share in passage.activations])
