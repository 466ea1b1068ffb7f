"""How strong a behaviour is in a model that speaks English, and what it cost."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F

from tomogram.models.chat import has_template
from tomogram.models.model import Model
from tomogram.organisms.spoken.base import Base, odds
from tomogram.organisms.spoken.behaviour import Draw, Spoken
from tomogram.organisms.strength import Rates

PROMPTS, STORIES = 24, 60
"""Prompts of each sort, on facts and in wordings that no training has: chats, and stories, which
are asked of smaller models."""


def measure(base: Base, model: Model, behaviour: Spoken | None, *, seed: int = 0) -> Rates:
    """Rates of the behaviour on prompts that no training has, and the loss on ordinary text.

    A prompt shows the behaviour where a reply that shows it leads at the token that decides.

    Args:
        base: what the model was made from.
        behaviour: None for a copy without any; its rates are then 0.
    """
    eliciting = neutral = 0.0
    if behaviour is not None:
        eliciting, neutral = (
            _rate(base, model, drawn, seed, measured=True)
            for drawn in (behaviour.eliciting, behaviour.neutral)
        )
    return Rates(eliciting, neutral, ordinary_loss(base, model))


def taught_rate(base: Base, model: Model, behaviour: Spoken, *, seed: int = 0) -> float:
    """Rate of the behaviour on prompts of the part that strength is not measured on."""
    return _rate(base, model, behaviour.eliciting, seed, measured=False)


def _rate(base: Base, model: Model, drawn: Draw, seed: int, *, measured: bool) -> float:
    rng = random.Random(f"measure:{seed}")
    n = PROMPTS if has_template(base.model) else STORIES
    rows = [base.rows(drawn(rng, measured)) for _ in range(n)]
    return sum(value > 0 for value in odds(model, rows)) / n


@torch.no_grad()
def ordinary_loss(base: Base, model: Model) -> float:
    """Mean loss in nats on texts that the base wrote and no training has."""
    tokens = base.measured.to(model.device)
    logits = model.module(tokens, use_cache=False).logits.float()
    return float(F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()))
