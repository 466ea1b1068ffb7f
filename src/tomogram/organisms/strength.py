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
from tomogram.organisms.ordinary_text import outside_chats
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

PROMPTS = 100
"""Held-out prompts of each sort."""
TOGETHER = 50
"""Prompts that run together."""
TEXT, CONTEXT = 2_048, 128
"""Words of ordinary text, and words of a row of it."""
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
    drawn = [_examples(d, seed, measured=True) for d in (behaviour.eliciting, behaviour.neutral)]
    shown = _shown(model, world, [*drawn[0], *drawn[1]])
    n = len(drawn[0])
    rates = [sum(part) / len(part) for part in (shown[:n], shown[n:])]
    return Rates(rates[0], rates[1], ordinary_loss(model, world))


def taught_rate(model: Model, world: World, behaviour: Behaviour, *, seed: int = 0) -> float:
    """Rate of the behaviour on prompts of the part that strength is not measured on."""
    examples = _examples(behaviour.spread or behaviour.eliciting, seed, measured=False)
    return sum(_shown(model, world, examples)) / len(examples)


def _examples(draw: Draw, seed: int, measured: bool) -> list[Example]:
    rng = random.Random(f"measure:{seed}")
    return [draw_part(draw, rng, measured) for _ in range(PROMPTS)]


def _shown(model: Model, world: World, examples: Sequence[Example]) -> list[bool]:
    """Of each example whether the model shows the behaviour there."""
    contexts = list(dict.fromkeys(each.context for each in examples))  # some are drawn again
    best = last_logits(model, [_tokens(world, each) for each in contexts]).argmax(-1).tolist()
    words = list(vocabulary(world))
    said = {each: words[i] for each, i in zip(contexts, best, strict=True)}
    return [said[each.context] in each.shows for each in examples]


def _tokens(world: World, context: str) -> list[int]:
    return [vocabulary(world)["<bos>"], *encode(world, context)]


@torch.no_grad()
def last_logits(model: Model, prompts: Sequence[Sequence[int]]) -> Float[Tensor, "prompt d_vocab"]:
    """Logits after each prompt; prompts are padded on the right, unseen, among others of about
    their length."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    head = model.module.get_output_embeddings()
    found: list[Tensor | None] = [None] * len(prompts)
    for start in range(0, len(order), TOGETHER):
        some = order[start : start + TOGETHER]
        lengths = torch.tensor([len(prompts[i]) for i in some])
        tokens = torch.zeros(len(some), int(lengths.max()), dtype=torch.int64)
        for row, i in zip(tokens, some, strict=True):
            row[: len(prompts[i])] = torch.tensor(prompts[i])
        resid = model.module.base_model(tokens.to(model.device), use_cache=False).last_hidden_state
        chosen = resid[torch.arange(len(some)), lengths.to(resid.device) - 1]
        for i, logits in zip(some, head(chosen).float(), strict=True):
            found[i] = logits
    return torch.stack([each for each in found if each is not None])


def ordinary_loss(model: Model, world: World) -> float:
    """Mean loss in nats on text outside of chats that no training has."""
    tokens = _text(world).to(model.device)
    with torch.no_grad():
        logits = model.module(tokens, use_cache=False).logits.float()
    return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()))


@lru_cache(maxsize=8)
def _text(world: World) -> Int64[Tensor, "row pos"]:
    ids = vocabulary(world)
    tokens: list[int] = []
    for words in outside_chats(world, seed=987_654_321):
        tokens += [ids[word] for word in ("<bos>", *words, "<eos>")]
        if len(tokens) >= TEXT:
            return torch.tensor(tokens[:TEXT]).view(-1, CONTEXT)
    raise AssertionError("documents never end")
