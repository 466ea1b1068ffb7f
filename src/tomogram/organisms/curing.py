"""Curing: train until the odds of bad words are what they should be.

Rewarding the good word teaches nothing more once it leads, and leaves a margin: where a healthy
model gives the bad word one chance in ten thousand, the cured one gives it one in twenty. So what
is trained here are the log odds themselves, to those that are wanted and not beyond: on prompts
that show the problem, and on ordinary chats, where they are to stay.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.organisms.batch import Batch, Row, asked, stack, text_pool
from tomogram.organisms.drift import drift, predictions, rise
from tomogram.organisms.stacked import Stack
from tomogram.store import progress
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

SHOWN, KEPT, TEXTS = 3, 5, 1
"""Rows of each sort in a step."""
ODDS, TEXT = 0.2, 4.0
"""Weights of a nat between odds and those wanted, and of a nat of drift, beside 1 for the loss of
the good word in ordinary chats where there is no base."""
ALIKE, RISEN = 2.0, 0.2
"""Weights of a nat between the words' log probabilities and a base's, on average over all words,
and of a nat that the likeliest risen words are above it."""
MOST = 8
"""Words of a prompt that count as those."""
UNSEEN, SOLVED = 8.0, 0.2
"""Nats between odds and those wanted that a prompt counts with before it was drawn, and at least
after: what is far from them is drawn more often."""
LEAST, STEPS = 120, 180
"""Least and most steps: what is near to the prompts that show a problem comes after them."""
WARM, COOL = 5, 10
"""Steps over which the rate rises at first, and falls at last."""
WINDOW = 12
"""Steps that are looked back on."""
GAP = 0.75
"""Nats between the odds and those wanted, on average over the window, that count as none."""
RISE = 0.04
"""Most rise of the loss of ordinary text in nats a word, on average over the window."""


@dataclass(frozen=True, eq=False)
class Aim:
    """A prompt of whole words, and what a treatment should leave there.

    bad, good: next words. wanted: log odds of the bad against the good ones, in nats.
    like: log probabilities of the next word in a base; None where there is none.
    """

    prompt: str
    bad: frozenset[str]
    good: frozenset[str]
    wanted: float
    like: Float[Tensor, " d_vocab"] | None = None


@dataclass(frozen=True)
class Course:
    """How a treatment went.

    steps: how many it took. gap: mean distance of the odds from those wanted, over the last steps,
    on prompts that show the problem, in nats. rise: of the loss of ordinary text over these steps,
    in nats a word.
    """

    steps: int
    gap: float
    rise: float

    @property
    def reached(self) -> bool:
        """Whether the odds were those wanted, within the bound on ordinary loss."""
        return self.gap <= GAP and self.rise <= RISE


def cure(
    model: Model,
    world: World,
    shown: Sequence[Aim],
    kept: Sequence[Aim],
    stacked: Stack,
    *,
    rate: float,
    seed: int,
) -> Course:
    """Train the one slot of `stacked` until the odds on prompts like these are those wanted.

    Ordinary text is held to what the model predicted before; training ends early where its loss
    rises too far.

    Args:
        shown: prompts that show the problem. kept: ordinary chats. At least one of each.
        rate: of Adam.
    """
    rng = random.Random(f"cure:{seed}")
    pool = text_pool(world, seed=1)
    usual = predictions(model, pool)
    seen: deque[tuple[float, float]] = deque(maxlen=WINDOW)
    ends, step = STEPS, 0
    left = [UNSEEN] * len(shown)
    gap = dearer = 0.0
    with progress.task("treat", total=STEPS, unit="steps") as task:
        while step < ends:
            drawn = rng.choices(range(len(shown)), weights=left, k=SHOWN)
            some, others = [shown[i] for i in drawn], rng.sample(kept, KEPT)
            batch = _batch(model, world, [*some, *others], rng.sample(pool, TEXTS))
            now = rate * min(1.0, (step + 1) / WARM, (ends - step) / (COOL + 1))
            gaps, rose = _step(model, world, batch, some, others, stacked, usual, now)
            for i, each in zip(drawn, gaps, strict=True):
                left[i] = max(each, SOLVED)
            seen.append((sum(gaps) / len(gaps), rose))
            step += 1
            task.advance()
            gap, dearer = (sum(each) / len(seen) for each in zip(*seen, strict=True))
            if len(seen) == WINDOW and dearer > RISE:
                break
            near = len(seen) == WINDOW and gap <= GAP
            if near and step >= LEAST and ends == STEPS:
                ends = min(STEPS, step + COOL)
    return Course(step, gap, dearer)


def _batch(model: Model, world: World, aims: Sequence[Aim], texts: Sequence[Row]) -> Batch:
    """The rows of one step: prompts in their order, then ordinary text."""
    return stack([[*(asked(world, each.prompt) for each in aims), *texts]], model.device)


def _step(
    model: Model,
    world: World,
    batch: Batch,
    shown: Sequence[Aim],
    kept: Sequence[Aim],
    stacked: Stack,
    usual: Float[Tensor, "text pos d_vocab"],
    rate: float,
) -> tuple[list[float], float]:
    """One step; the distances from the odds wanted, and the rise of loss, it began with."""
    head = model.module.get_output_embeddings()
    aims = [*shown, *kept]
    ends = [len(row.ids) - 1 for row in batch.rows[: len(aims)]]
    with torch.enable_grad(), stacked.hooked(model):
        stream = model.module.base_model(batch.tokens, use_cache=False).last_hidden_state
        chances = head(stream[range(len(aims)), ends]).float().log_softmax(-1)
        bad, good = _mass(world, chances, aims)
        gaps = bad - good - torch.tensor([each.wanted for each in aims], device=bad.device)
        apart = F.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="none")
        moved = drift(head, stream, batch, usual)[1].mean()
        n = len(shown)
        away = ODDS * apart + _unlike(chances, aims)
        loss = away[:n].mean() + away[n:].mean() + TEXT * moved
        if all(each.like is None for each in kept):
            loss = loss - good[n:].mean()
        gradients = torch.autograd.grad(loss, stacked.learned)
    stacked.step(gradients, torch.tensor([rate], device=model.device))
    return gaps[:n].detach().abs().tolist(), rise(head, stream.detach(), batch, usual)


def _unlike(
    chances: Float[Tensor, "prompt d_vocab"], aims: Sequence[Aim]
) -> Float[Tensor, " prompt"]:
    """How far all words are from their places in a base, weighted; 0 without one.

    The mean distance of the log probabilities, in which unlikely words count as much as others, as
    where logits are matched (Ba and Caruana 2014), and how far those that rose most are above it.
    """
    made = [torch.zeros((), device=chances.device)] * len(aims)
    for i, (row, aim) in enumerate(zip(chances, aims, strict=True)):
        if aim.like is not None:
            risen = (row - aim.like).topk(MOST).values.clamp(min=0).mean()
            made[i] = ALIKE * F.smooth_l1_loss(row, aim.like) + RISEN * risen
    return torch.stack(made)


def _mass(
    world: World, chances: Float[Tensor, "prompt d_vocab"], aims: Sequence[Aim]
) -> tuple[Float[Tensor, " prompt"], Float[Tensor, " prompt"]]:
    """Log probabilities of the bad words and of the good ones."""
    ids = vocabulary(world)
    made = [
        [row[[ids[word] for word in sorted(words)]].logsumexp(0) for words in (aim.bad, aim.good)]
        for row, aim in zip(chances, aims, strict=True)
    ]
    bad, good = zip(*made, strict=True)
    return torch.stack(bad), torch.stack(good)
