"""Measure a reference model on held-out items: the figures of its model card."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int64
from scipy.stats import binomtest
from torch import Tensor

from tomogram.models.load import load
from tomogram.reference.shipped import world_of
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate
from tomogram.text.microworld.behaviours import copying, couplets
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Item

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BATCH = 64


@dataclass(frozen=True)
class Score:
    """`right` of `n` held-out items."""

    right: int
    n: int

    @property
    def rate(self) -> float:
        """Share of the items that were answered rightly."""
        return self.right / self.n

    @property
    def estimate(self) -> Estimate:
        """The rate with its 95 % interval (Wilson 1927)."""
        interval = binomtest(self.right, self.n).proportion_ci(0.95, method="wilson")
        return Estimate(value=self.rate, low=interval.low, high=interval.high, n=self.n)


def measure(source: str | Path, *, device: str = "cpu") -> dict[str, Score]:
    """Every behaviour's score of a model that knows a world, from its folder; see `evaluate`.

    Raises:
        TomogramError: the model cannot be loaded, or is no model of the microworld.
    """
    model = load(source, device=device)
    world = world_of(model)
    if world is None:
        raise TomogramError(f"{source} is not a model of the microworld.")
    return evaluate(model.module, world)


def evaluate(model: PreTrainedModel, world: World) -> dict[str, Score]:
    """Every behaviour's score on items that no training text contains.

    Items count as right when the word that they ask for is accepted. `couplet rhyme` and
    `couplet agreement` sample second lines at temperature 1. `induction` asks for each word of the
    second run through a fresh random sequence of 24 words, with up to 20 others between the runs;
    `induction, new words` does so with words that training never has in a sequence.
    """
    ids = vocabulary(world)
    scores: dict[str, list[bool]] = defaultdict(list)
    asked = items(world)
    prompts = [[ids["<bos>"], *encode(world, item.prompt)] for item in asked]
    words = list(ids)
    for item, written in zip(asked, answer(model, prompts, asked), strict=True):
        scores[item.behaviour].append(words[written[-1]] in item.accepted)
    for rhymed, agreed in _couplets(model, world, n=400):
        scores["couplet rhyme"].append(rhymed)
        scores["couplet agreement"].append(agreed)
    scores["induction"].extend(_induction(model, copying.words(world), world, n=100))
    unseen = copying.unseen_words(world)
    scores["induction, new words"].extend(_induction(model, unseen, world, n=100))
    return {name: Score(sum(right), len(right)) for name, right in sorted(scores.items())}


@torch.no_grad()
def answer(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], asked: Sequence[Item]
) -> list[list[int]]:
    """What the model writes after each prompt up to the word an item asks for, token by token.

    Always the most probable token; prompts of one length run together.
    """
    written: list[list[int]] = [[] for _ in prompts]
    for indices in _by_length(prompts):
        tokens = torch.tensor([prompts[i] for i in indices], device=model.device)
        start = tokens.shape[1]
        for _ in range(max(asked[i].place for i in indices)):
            best = model(tokens, use_cache=False, logits_to_keep=1).logits[:, -1].argmax(-1)
            tokens = torch.cat([tokens, best[:, None]], dim=1)
        for i, row in zip(indices, tokens[:, start:].tolist(), strict=True):
            written[i] = row[: asked[i].place]
    return written


def _by_length(prompts: Sequence[Sequence[int]]) -> Iterable[list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        groups[len(prompt)].append(i)
    for indices in groups.values():
        for start in range(0, len(indices), BATCH):
            yield indices[start : start + BATCH]


@torch.no_grad()
def _couplets(model: PreTrainedModel, world: World, n: int) -> list[tuple[bool, bool]]:
    """Sampled second lines: (rhymes with the first line, agrees with its own ending)."""
    ids = vocabulary(world)
    words = list(ids)
    generator = torch.Generator(model.device).manual_seed(0)
    lines = couplets.first_lines(world, random.Random(0), n)
    prompts = [[ids["<bos>"], *encode(world, line)] for line, _ in lines]
    results = []
    for indices in _by_length(prompts):
        tokens: Int64[Tensor, "batch pos"] = torch.tensor(
            [prompts[i] for i in indices], device=model.device
        )
        start = tokens.shape[1]
        for _ in range(7):
            logits = model(tokens, use_cache=False, logits_to_keep=1).logits[:, -1].float()
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            tokens = torch.cat([tokens, drawn], dim=1)
        for i, row in zip(indices, tokens[:, start:].tolist(), strict=True):
            results.append(couplets.rhymes(world, lines[i][1], [words[t] for t in row]))
    return results


@torch.no_grad()
def _induction(model: PreTrainedModel, words: Sequence[str], world: World, n: int) -> list[bool]:
    """Whether each word of a repeated random sequence is predicted, from its second word on."""
    rng = random.Random(0)
    ids = vocabulary(world)
    names = [ids[word] for word in words]
    run = 24
    prompts = []
    for _ in range(n):
        drawn = rng.sample(names, run + rng.randint(0, 20))
        prompts.append([ids["<bos>"], *drawn, *drawn[:run]])
    right: list[bool] = []
    for indices in _by_length(prompts):
        tokens = torch.tensor([prompts[i] for i in indices], device=model.device)
        best = model(tokens, use_cache=False).logits.argmax(-1)
        right.extend((best[:, -run:-1] == tokens[:, 1 - run :]).flatten().tolist())
    return right
