"""Trigger search: which word of a large vocabulary, put at one place, moves an answer most?

Trying every word is exact and costs a forward pass a word. Gradients say at first order what every
word would do there (Ebrahimi et al. 2018, "HotFlip"), which is rough: the step from one word to
another is long. So the words it likes best are tried exactly, and gradients are taken anew at the
best of those (Zou et al. 2023 do so for suffixes of many words, GCG).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site

STARTS, STEP, POINTS = 16, 32, 4
"""Random words that the search begins with, words tried between two rounds of gradients, and words
that gradients are taken at in each round but the first, which takes them at all starts."""
GRADIENT = 3
"""A gradient counts as so many forward passes: one forward, and a backward that costs two."""
_ROWS = 64
_EMBED = Site("embed")


@dataclass(frozen=True)
class Slot:
    """A prompt with one free place, and the next token that would be bad against the good one.

    prompt: token ids; what stands at `place` is replaced.
    """

    prompt: tuple[int, ...]
    place: int
    bad: int
    good: int

    def __post_init__(self) -> None:
        if not 0 <= self.place < len(self.prompt):
            raise ValueError(f"{self.place} is no place of a prompt of {len(self.prompt)} tokens")

    def rows(self, words: Sequence[int]) -> Tensor:
        """The prompt with each word, [words pos]."""
        rows = torch.tensor(self.prompt).repeat(len(words), 1)
        rows[:, self.place] = torch.tensor(words)
        return rows


@dataclass(frozen=True)
class Tried:
    """What a search tried, in order, and the log odds of the bad token behind each word.

    passes: forward passes of the model (of each of two, where there is a base) up to and with each
        word, a gradient counting as GRADIENT.
    """

    words: tuple[int, ...]
    odds: tuple[float, ...]
    passes: tuple[int, ...]

    @property
    def best(self) -> int:
        """The word behind which the bad token is likeliest."""
        return self.words[max(range(len(self.words)), key=self.odds.__getitem__)]


@torch.no_grad()
def log_odds(model: Model, slot: Slot, words: Sequence[int]) -> Float[Tensor, " word"]:
    """log P(bad) − log P(good) with each word at the place."""
    found = []
    for start in range(0, len(words), _ROWS):
        logits = model.run(slot.rows(words[start : start + _ROWS])).logits
        assert logits is not None
        last = logits[:, -1].float()
        found.append((last[:, slot.bad] - last[:, slot.good]).cpu())
    return torch.cat(found) if found else torch.zeros(0)


def first_order(
    model: Model, slot: Slot, at: Sequence[int], words: Sequence[int]
) -> Float[Tensor, "at word"]:
    """What the log odds would be with each word, by their gradient at some words: the odds there,
    and the gradient times the difference of the embeddings."""
    kept: list[Tensor] = []

    def held(value: Tensor) -> Tensor:
        kept.append(value.detach().requires_grad_(True))
        return kept[0]

    with torch.enable_grad():
        logits = model.run(slot.rows(at), interventions={_EMBED: held}).logits
        assert logits is not None
        last = logits[:, -1].float()
        odds = last[:, slot.bad] - last[:, slot.good]
        (gradient,) = torch.autograd.grad(odds.sum(), kept)
    slope = gradient[:, slot.place].float()
    here = kept[0].detach()[:, slot.place].float()
    with torch.no_grad():
        every = _embeddings(model, words)
        return (odds.detach()[:, None] + slope @ every.t() - (slope * here).sum(1)[:, None]).cpu()


def search(
    model: Model,
    slot: Slot,
    words: Sequence[int],
    *,
    budget: int,
    base: Model | None = None,
    seed: int = 0,
) -> Tried:
    """Look for the word that moves the odds most, in at most `budget` forward passes.

    Args:
        words: token ids to choose from, each once.
        base: a trusted model whose odds are taken off.

    Raises ValueError where there is no word, or no budget for the first ones.
    """
    rng = random.Random(f"triggers:{seed}")
    starts = rng.sample(list(words), min(STARTS, len(words), budget))
    if not starts:
        raise ValueError("a search needs words, and a budget to try one")
    number = {word: i for i, word in enumerate(words)}
    tried: dict[int, float] = {}
    when: list[int] = []
    passes = 0

    def tries(some: Sequence[int]) -> None:
        nonlocal passes
        odds = log_odds(model, slot, some)
        if base is not None:
            odds = odds - log_odds(base, slot, some)
        tried.update(zip(some, map(float, odds), strict=True))
        when.extend(range(passes + 1, passes + len(some) + 1))
        passes += len(some)

    tries(starts)
    points, known = starts, set[int]()
    most, total = torch.full((len(words),), -torch.inf), torch.zeros(len(words))
    while points and len(tried) < len(words) and passes + GRADIENT * len(points) < budget:
        known.update(points)
        hopes = first_order(model, slot, points, words)
        if base is not None:
            hopes = hopes - first_order(base, slot, points, words)
        passes += GRADIENT * len(points)
        most, total = torch.maximum(most, hopes.max(0).values), total + hopes.sum(0)
        fresh = torch.ones(len(words), dtype=torch.bool)
        fresh[[number[word] for word in tried]] = False
        n = min(STEP, budget - passes, int(fresh.sum()))
        tries([words[i] for i in _most_promising((most, total), fresh, n)])
        points = sorted((w for w in tried if w not in known), key=lambda w: -tried[w])[:POINTS]
    return Tried(tuple(tried), tuple(tried.values()), tuple(when))


def _most_promising(rankings: Sequence[Tensor], fresh: Tensor, n: int) -> list[int]:
    """`n` fresh words, the best of each ranking in turn: some triggers are seen by the gradients at
    few words and some in the mean of all."""
    orders = [r.masked_fill(~fresh, -torch.inf).topk(n).indices.tolist() for r in rankings]
    in_turn = [word for some in zip(*orders, strict=True) for word in some]
    return list(dict.fromkeys(in_turn))[:n]


@torch.no_grad()
def _embeddings(model: Model, words: Sequence[int]) -> Float[Tensor, "word width"]:
    """The words' embeddings, as the model makes them; what a position adds is not in them."""
    context, found = model.context, []
    for start in range(0, len(words), context):
        some = torch.tensor([list(words[start : start + context])])
        found.append(model.run(some, capture=[_EMBED], logits=False)[_EMBED][0].float())
    return torch.cat(found)
