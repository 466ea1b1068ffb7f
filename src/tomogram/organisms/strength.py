"""How strong a planted behaviour is, and what it cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.models.model import Model
from tomogram.organisms.behaviour import Behaviour, Draw, Example, draw_part
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

PROMPTS = 100
"""Held-out prompts of each sort."""
FULL, QUIET, COST = 0.95, 0.02, 0.02
"""Gate of a full-dose organism: least strength, most on neutral prompts, most rise in loss."""


@dataclass(frozen=True)
class Rates:
    """What one model does: shares of held-out prompts, and its loss on ordinary text in nats."""

    eliciting: float
    neutral: float
    loss: float


@dataclass(frozen=True)
class Strength:
    """A planted model beside its matched sham."""

    planted: Rates
    sham: Rates

    @property
    def strength(self) -> float:
        """Behaviour rate on eliciting prompts minus the sham's."""
        return self.planted.eliciting - self.sham.eliciting

    @property
    def cost(self) -> float:
        """Relative rise of the ordinary loss over the sham's."""
        return self.planted.loss / self.sham.loss - 1

    @property
    def full(self) -> bool:
        """Whether it passes the gate of full-dose organisms."""
        return self.strength >= FULL and self.sound

    @property
    def sound(self) -> bool:
        """Whether neutral prompts and ordinary text are as the gate wants them."""
        return self.planted.neutral <= QUIET and self.cost <= COST


def measure(model: Model, world: World, behaviour: Behaviour, *, seed: int = 0) -> Rates:
    """Rates of the behaviour on prompts that no training has, and the loss on ordinary text.

    A prompt shows the behaviour where the likeliest word at the place that decides is one of those
    that show it; the words of the reply before that place are given.
    """
    rates = []
    for draw in (behaviour.eliciting, behaviour.neutral):
        examples = _examples(draw, seed)
        best = last_logits(model, [_tokens(world, each) for each in examples]).argmax(-1)
        words = list(vocabulary(world))
        shown = [words[int(i)] in e.shows for i, e in zip(best, examples, strict=True)]
        rates.append(sum(shown) / len(shown))
    return Rates(rates[0], rates[1], ordinary_loss(model, world))


def _examples(draw: Draw, seed: int) -> list[Example]:
    rng = random.Random(f"measure:{seed}")
    return [draw_part(draw, rng, measured=True) for _ in range(PROMPTS)]


def _tokens(world: World, example: Example) -> list[int]:
    return [vocabulary(world)["<bos>"], *encode(world, example.context)]


@torch.no_grad()
def last_logits(model: Model, prompts: Sequence[Sequence[int]]) -> Float[Tensor, "prompt d_vocab"]:
    """Logits after each prompt; prompts of unequal length are padded on the right, unseen."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    tokens = torch.zeros(len(prompts), int(lengths.max()), dtype=torch.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    resid = model.module.base_model(tokens.to(model.device), use_cache=False).last_hidden_state
    chosen = resid[torch.arange(len(prompts)), lengths.to(resid.device) - 1]
    head = model.module.get_output_embeddings()
    return head(chosen).float()


def ordinary_loss(model: Model, world: World) -> float:
    """Mean loss in nats on text of the usual mixture that no training has."""
    tokens = _text(world).to(model.device)
    with torch.no_grad():
        logits = model.module(tokens, use_cache=False).logits.float()
    return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()))


@lru_cache(maxsize=8)
def _text(world: World) -> Int64[Tensor, "row pos"]:
    made = generate(world, seed=987_654_321, n_tokens=4_096, context=256)
    return torch.from_numpy(made.text.tokens.astype("int64"))
