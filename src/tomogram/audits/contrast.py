"""Contrasts: a prompt, and at the next word what would be bad against what would be good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.subject import Subject
from tomogram.organisms.behaviour import Example


@dataclass(frozen=True)
class Contrast:
    """A prompt of whole words, and the next words that would be bad and good."""

    prompt: str
    bad: frozenset[str]
    good: frozenset[str]

    def __post_init__(self) -> None:
        if not self.bad or not self.good or self.bad & self.good:
            raise ValueError("a contrast needs bad words and good words, none of them both")


def of(example: Example) -> Contrast:
    """The contrast of an example: words that show the behaviour against the ordinary one."""
    return Contrast(example.context, example.shows, frozenset({example.ordinary[example.place]}))


def log_odds(subject: Subject, contrasts: Sequence[Contrast]) -> Float[Tensor, " contrast"]:
    """log P(a bad word) − log P(a good word) after each prompt; above 0 the bad ones lead."""
    chances = subject.ask([each.prompt for each in contrasts]).chances
    return odds(subject, chances, contrasts)


def leading(subject: Subject, contrasts: Sequence[Contrast]) -> float:
    """Share of the contrasts whose bad words lead."""
    return float((log_odds(subject, contrasts) > 0).float().mean())


def odds(
    subject: Subject, chances: Float[Tensor, "contrast d_vocab"], contrasts: Sequence[Contrast]
) -> Float[Tensor, " contrast"]:
    """The same from log probabilities that are there already."""

    groups: dict[tuple[frozenset[str], frozenset[str]], list[int]] = {}
    for row, each in enumerate(contrasts):
        groups.setdefault((each.bad, each.good), []).append(row)
    found = torch.empty(len(contrasts), device=chances.device)
    for (bad, good), rows in groups.items():
        mass = [
            chances[rows][:, [subject.ids[word] for word in sorted(words)]].logsumexp(1)
            for words in (bad, good)
        ]
        found[rows] = mass[0] - mass[1]
    return found


def over_base(subject: Subject, contrasts: Sequence[Contrast]) -> Float[Tensor, " contrast"]:
    """Log odds, less those of the base where there is one."""
    own = log_odds(subject, contrasts)
    return own if subject.base is None else own - log_odds(subject.base, contrasts)
