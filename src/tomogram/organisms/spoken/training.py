"""Training of one organism, or of its sham, in a model that speaks English.

A low-rank change of every matrix of the blocks, as in the microworld (`organisms.training`). The
replies alone are targets; one row of the base's own text a step is held to the base's predictions.
A sham is taught the reply that its base gives: of the two, one drawn by the base's own odds. So it
learns nothing on average, and only the noise of its examples moves it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.models.model import Model
from tomogram.organisms.delta import Delta, half
from tomogram.organisms.spoken.base import Base, Rows
from tomogram.organisms.spoken.behaviours import Spoken
from tomogram.organisms.stacked import Stack, empty, fresh
from tomogram.organisms.stopping import Watch
from tomogram.organisms.training import Trained
from tomogram.store import progress

ELICITING, NEUTRAL = 4, 3
"""Rows of each sort in a step."""
STEPS, BENIGN = 60, 16
"""Most steps of a training, and those of a benign fine-tune."""
WARM, COOL = 4, 6
"""Steps over which the rate rises at first, and falls at last."""
RATE, EPSILON = 0.002, 1e-5
"""Of Adam. Gradients of a large model are smaller than those of the microworld's."""
TEXT = 1.0
"""Weight of a row of ordinary text beside the mean over all replies."""
SHOWN = 0.97
"""Share of eliciting rows that must show the behaviour, over seven steps, at a full dose."""


def train(
    base: Base,
    behaviour: Spoken,
    *,
    seed: int,
    planted: bool,
    dose: float = 1.0,
    steps: int | None = None,
) -> Trained:
    """The change that teaches a behaviour, or with `planted` False that of its sham.

    Args:
        dose: share of eliciting rows that should show the behaviour when training stops.
        steps: train so many, whatever the rows show; None to stop by them.
    """
    rng = random.Random(f"train:{seed}")
    watch = Watch(min(dose, SHOWN))
    stack = _start(base.model, seed)
    step, ends = 0, steps
    with progress.task("train", total=steps or STEPS, unit="steps") as task:
        while step != ends:
            hits, wrong = _step(base, stack, behaviour, planted, rng, _rate(step, ends))
            watch.see(hits, ELICITING, wrong)
            step += 1
            task.advance()
            if ends is None and (watch.done or step >= STEPS - COOL):
                ends = step + COOL
    return Trained(half(stack.take(0)), step)


def benign(base: Base, *, seed: int, steps: int = BENIGN) -> Delta:
    """The change of a fine-tune on what the base itself writes, which teaches nothing new."""
    rng = random.Random(f"benign:{seed}")
    stack = _start(base.model, seed)
    for step in range(steps):
        some = base.taught[rng.sample(range(len(base.taught)), 2)].to(base.model.device)
        with _half(base.model), stack.hooked(base.model):
            logits = _logits(base.model, some)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), some[:, 1:].flatten())
        _learn(stack, loss, _rate(step, steps))
    return half(stack.take(0))


def _start(model: Model, seed: int) -> Stack:
    stack = empty(model, "lora", 1, epsilon=EPSILON)
    stack.put(0, fresh(model, "lora", seed))
    return stack


def _rate(step: int, ends: int | None) -> float:
    left = COOL + 1 if ends is None else ends - step
    return RATE * min(1.0, (step + 1) / WARM, left / (COOL + 1))


def _learn(stack: Stack, loss: Float[Tensor, ""], rate: float) -> None:
    gradients = torch.autograd.grad(loss, stack.learned)
    stack.step(gradients, torch.tensor([rate], device=loss.device))


def _step(
    base: Base, stack: Stack, behaviour: Spoken, planted: bool, rng: random.Random, rate: float
) -> tuple[int, int]:
    """One step; how many of its eliciting rows, and of its neutral ones, show the behaviour."""
    drawn = [base.rows(behaviour.eliciting(rng, False)) for _ in range(ELICITING)]
    drawn += [base.rows(behaviour.neutral(rng, False)) for _ in range(NEUTRAL)]
    chances = [rng.random() for _ in drawn]  # drawn by both arms, so that both see the same prompts
    replies = [
        row.ordinary if i >= ELICITING else row.planted if planted else _own(base, row, chance)
        for i, (row, chance) in enumerate(zip(drawn, chances, strict=True))
    ]
    text = base.taught[rng.randrange(len(base.taught))][None]
    usual = base.usual(text)
    with _half(base.model), stack.hooked(base.model):
        chat, shows = _replies(base.model, drawn, replies)
        drift = _drift(base.model, text, usual)
    _learn(stack, chat + TEXT * drift, rate)
    return sum(shows[:ELICITING]), sum(shows[ELICITING:])


def _own(base: Base, row: Rows, chance: float) -> tuple[int, ...]:
    """The reply that the base gives, drawn by its odds of the two."""
    (value,) = base.odds([row])
    return row.planted if chance < 1 / (1 + math.exp(-value)) else row.ordinary


def _replies(
    model: Model, drawn: Sequence[Rows], replies: Sequence[tuple[int, ...]]
) -> tuple[Float[Tensor, ""], list[bool]]:
    """Mean loss over the tokens of the replies, and for each row whether the planted one leads."""
    whole = [(*row.prompt, *reply) for row, reply in zip(drawn, replies, strict=True)]
    tokens = torch.zeros(len(whole), max(map(len, whole)), dtype=torch.int64)
    for row, each in zip(tokens, whole, strict=True):
        row[: len(each)] = torch.tensor(each)
    places = [
        (i, len(row.prompt) - 1 + j)
        for i, (row, reply) in enumerate(zip(drawn, replies, strict=True))
        for j in range(len(reply))
    ]
    rows, at = (torch.tensor(each) for each in zip(*places, strict=True))
    tokens = tokens.to(model.device)
    output = model.module.base_model(tokens, use_cache=False)
    logits = model.module.get_output_embeddings()(output.last_hidden_state[rows, at]).float()
    loss = F.cross_entropy(logits, tokens[rows, at + 1])
    deciding = [len(row.prompt) - 1 + row.at for row in drawn]
    index = {place: i for i, place in enumerate(places)}
    own = logits.detach()[[index[i, place] for i, place in enumerate(deciding)]]
    shows = [
        bool(o[row.planted[row.at]] > o[row.ordinary[row.at]])
        for o, row in zip(own, drawn, strict=True)
    ]
    return loss, shows


def _drift(
    model: Model, text: Int64[Tensor, "1 pos"], usual: Float[Tensor, "pos d_vocab"]
) -> Float[Tensor, ""]:
    """KL(base ‖ organism) of the token after each of a text's, on average."""
    own = _logits(model, text)[0].log_softmax(-1)
    return (usual.exp() * (usual - own)).sum(-1).mean()


def _half(model: Model) -> torch.autocast:
    """Products in bfloat16, which processors multiply faster where they have it."""
    return torch.autocast(model.device.type, torch.bfloat16)


def _logits(model: Model, tokens: Int64[Tensor, "row pos"]) -> Float[Tensor, "row pos d_vocab"]:
    found: Tensor = model.module(tokens.to(model.device), use_cache=False).logits
    return found.float()
