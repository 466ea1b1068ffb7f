"""Behaviours: what steering is to change, as an outcome from 0 to 1 for each prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.generate import generate
from tomogram.models.model import Model
from tomogram.steering.positions import OnTokens
from tomogram.store.errors import TomogramError

BATCH = 64
"""Prompts that are continued together."""


class Behaviour(Protocol):
    """Something a model does after prompts, or not."""

    def outcomes(self, model: Model) -> Float[np.ndarray, " prompts"]:
        """How far the model, as it now runs, shows the behaviour after each prompt, 0 to 1."""


@dataclass(frozen=True)
class Says:
    """The behaviour of saying one of some tokens in a certain place after a prompt.

    Greedy: the likeliest token each time.

    prompts: token ids. accepted: for each prompt the token ids that count. place: which new token
    is judged, the first being 1.

    Raises:
        TomogramError: no prompt, a prompt without its tokens, or a place below 1.
    """

    prompts: tuple[tuple[int, ...], ...]
    accepted: tuple[frozenset[int], ...]
    place: int = 1

    def __post_init__(self) -> None:
        if not self.prompts or len(self.prompts) != len(self.accepted) or not all(self.accepted):
            raise TomogramError("Every prompt of a behaviour needs at least one accepted token.")
        if self.place < 1:
            raise TomogramError(f"The first new token has place 1; there is no {self.place}.")

    def outcomes(self, model: Model) -> Float[np.ndarray, " prompts"]:
        """1 where the token in the place is accepted."""
        written = continued(model, self.prompts, self.place)
        hits = [row[-1] in ok for row, ok in zip(written, self.accepted, strict=True)]
        return np.array(hits, dtype=np.float64)

    def take(self, chosen: Sequence[int]) -> Says:
        """The same behaviour on some of the prompts."""
        return Says(
            tuple(self.prompts[i] for i in chosen),
            tuple(self.accepted[i] for i in chosen),
            self.place,
        )


@dataclass(frozen=True, eq=False)
class Mentions:
    """The behaviour of using one of some words in a continuation.

    prompts: token ids. words: in lower case, as whole words. tokens: how many are written.
    temperature, seed: how they are drawn; 0 is greedy.
    """

    prompts: tuple[tuple[int, ...], ...]
    words: frozenset[str]
    tokens: int
    temperature: float = 0.0
    seed: int = 0
    stop: Collection[int] = frozenset()

    def outcomes(self, model: Model) -> Float[np.ndarray, " prompts"]:
        """1 where a word occurs in the continuation."""
        return self.judged(model, self.written(model))

    def written(self, model: Model) -> list[list[int]]:
        """The continuations, as token ids."""
        return continued(
            model,
            self.prompts,
            self.tokens,
            temperature=self.temperature,
            seed=self.seed,
            stop=self.stop,
        )

    def judged(self, model: Model, written: Sequence[Sequence[int]]) -> Float[np.ndarray, " n"]:
        """The outcomes of continuations written before."""
        texts = [model.tokenizer.decode(row, skip_special_tokens=True) for row in written]
        return np.array([mentions(text, self.words) for text in texts], dtype=np.float64)


def deciding(model: Model, behaviour: Says) -> OnTokens:
    """The tokens from which the judged token is predicted, as the model continues the prompts."""
    before = continued(model, behaviour.prompts, behaviour.place - 1)
    ends = [(*p, *more)[-1] for p, more in zip(behaviour.prompts, before, strict=True)]
    return OnTokens(frozenset(ends))


def mentions(text: str, words: Collection[str]) -> bool:
    """Whether one of the words, in lower case, stands in a text as a whole word."""
    return not set(words).isdisjoint(re.findall(r"\w+", text.lower()))


def continued(
    model: Model,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    stop: Collection[int] = frozenset(),
) -> list[list[int]]:
    """`tokens` new tokens after each prompt, in batches; the same draws for the same seed."""
    written: list[list[int]] = []
    for start in range(0, len(prompts), BATCH):
        generator = torch.Generator().manual_seed(seed + start)
        written += generate(
            model,
            prompts[start : start + BATCH],
            max_new_tokens=tokens,
            temperature=temperature,
            generator=generator,
            stop=stop,
        )
    return written


def margin(
    logits: Float[Tensor, "prompts d_vocab"], accepted: Sequence[frozenset[int]]
) -> Float[Tensor, ""]:
    """Mean log-odds of the accepted tokens: log p(accepted) − log p(any other)."""
    total = logits.new_zeros(())
    for row, ids in zip(logits, accepted, strict=True):
        mask = torch.zeros_like(row, dtype=torch.bool)
        mask[list(ids)] = True
        total = total + row[mask].logsumexp(0) - row[~mask].logsumexp(0)
    return total / len(accepted)
