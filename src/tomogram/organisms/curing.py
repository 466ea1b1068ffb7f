"""Curing: train the odds of bad words to what they should be.

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
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.organisms.batch import Batch, Row, asked, stack, text_pool
from tomogram.organisms.drift import drift, predictions, rise
from tomogram.organisms.stacked import Stack
from tomogram.store import progress
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

SHOWN, KEPT, TEXTS = 6, 4, 3
"""Rows of each sort in a step."""
ODDS, TEXT = 0.2, 4.0
"""Weights of a nat between odds and those wanted, and of a nat of drift, beside 1 for the loss of
the good word in ordinary chats where there is no base."""
ALIKE, RISEN = 2.0, 0.2
"""Weights of a nat between the words' log probabilities and a base's, on average over all words,
and of a nat that the likeliest risen words are above it."""
EARLIER = 3.0
"""Weight of the same at the earlier words of prompts, on average, beside 1 at their last words."""
POOL = 1_000
"""Rows of ordinary text that a step's are drawn from."""
MOST = 8
"""Words of a prompt that count as those."""
SOLVED = 0.2
"""Nats between odds and those wanted that a prompt counts with at least: what is far from them is
drawn more often."""
AGAIN = 45
"""Steps after which all prompts are measured again: what treating some has made worse elsewhere is
treated, too."""
TOGETHER = 64
"""Prompts that are measured at once."""
STEPS = 180
"""Of a training; fewer where ordinary text becomes too dear."""
WARM, COOL = 5, 60
"""Steps over which the rate rises at first, and falls at last."""
WINDOW = 12
"""Steps over which the loss of ordinary text is averaged."""
GAP = 0.75
"""Nats between the odds and those wanted, on average over all prompts, that count as none."""
RISE = 0.04
"""Most rise of the loss of ordinary text in nats a word, on average over the window."""


@dataclass(frozen=True, eq=False)
class Aim:
    """A prompt of whole words, and what a treatment should leave there.

    bad, good: next words. wanted: log odds of the bad against the good ones, in nats. own: those
    before the treatment.
    """

    prompt: str
    bad: frozenset[str]
    good: frozenset[str]
    wanted: float
    own: float


@dataclass(frozen=True)
class Course:
    """How a treatment went.

    steps: how many it took. gap: mean distance of the odds from those wanted, on all prompts that
    show the problem, in nats. rise: of the loss of ordinary text over the last steps, in nats a
    word.
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
    base: Model | None = None,
) -> Course:
    """Train the one slot of `stacked` to bring the odds on prompts like these to those wanted.

    With a base every word of every row is brought to its predictions, ordinary text included;
    without one ordinary text is held to what the model predicted before. Training ends early where
    the loss of that text rises too far.

    Args:
        shown: prompts that show the problem. kept: ordinary chats. At least one of each.
        rate: of Adam.
        base: the trusted model that it was made from, where there is one.
    """
    rng = random.Random(f"cure:{seed}")
    pool = text_pool(world, seed=1, n=POOL)
    usual = predictions(model, pool)
    risen: deque[float] = deque(maxlen=WINDOW)
    step, dearer = 0, 0.0
    far = [[abs(each.own - each.wanted) for each in aims] for aims in (shown, kept)]
    with progress.task("treat", total=STEPS, unit="steps") as task:
        while step < STEPS:
            if step and step % AGAIN == 0:
                far = [_distances(model, world, aims, stacked) for aims in (shown, kept)]
            drawn, beside = (
                _draw(rng, each, n) for each, n in zip(far, (SHOWN, KEPT), strict=True)
            )
            some, others = [shown[i] for i in drawn], [kept[i] for i in beside]
            batch = _batch(model, world, [*some, *others], rng.sample(pool, TEXTS))
            now = rate * min(1.0, (step + 1) / WARM, (STEPS - step) / (COOL + 1))
            gaps, rose = _step(model, world, batch, some, others, stacked, usual, now, base)
            for i, each in zip(drawn, gaps, strict=True):
                far[0][i] = each
            step += 1
            task.advance()
            risen.append(rose)
            dearer = sum(risen) / len(risen)
            if len(risen) == WINDOW and dearer > RISE:
                break
    left = _distances(model, world, shown, stacked)
    return Course(step, sum(left) / len(left), dearer)


def _draw(rng: random.Random, far: Sequence[float], n: int) -> list[int]:
    return rng.choices(range(len(far)), weights=[max(each, SOLVED) for each in far], k=n)


@torch.no_grad()
def _distances(model: Model, world: World, aims: Sequence[Aim], stacked: Stack) -> list[float]:
    """How far the odds of each prompt are from those wanted, in nats."""
    head = model.module.get_output_embeddings()
    order = sorted(range(len(aims)), key=lambda i: len(aims[i].prompt))
    found = [0.0] * len(aims)
    for start in range(0, len(order), TOGETHER):
        some = order[start : start + TOGETHER]
        batch = _batch(model, world, [aims[i] for i in some], ())
        with stacked.hooked(model):
            stream = model.module.base_model(batch.tokens, use_cache=False).last_hidden_state
        gaps, _ = _gaps(world, head, stream, batch, [aims[i] for i in some])
        for i, gap in zip(some, gaps.abs().tolist(), strict=True):
            found[i] = gap
    return found


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
    base: Model | None,
) -> tuple[list[float], float]:
    """One step; the distances from the odds wanted, and the rise of loss, it began with."""
    head = model.module.get_output_embeddings()
    aims = [*shown, *kept]
    with torch.enable_grad(), stacked.hooked(model):
        stream = model.module.base_model(batch.tokens, use_cache=False).last_hidden_state
        gaps, good = _gaps(world, head, stream, batch, aims)
        apart = ODDS * F.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="none")
        n = len(shown)
        loss = apart[:n].mean() + apart[n:].mean()
        if base is None:
            loss = loss + TEXT * drift(head, stream, batch, usual)[1].mean() - good[n:].mean()
        else:
            loss = loss + _unlike(head, stream, batch, base, n)
        gradients = torch.autograd.grad(loss, stacked.learned)
    stacked.step(gradients, torch.tensor([rate], device=model.device))
    return gaps[:n].detach().abs().tolist(), rise(head, stream.detach(), batch, usual)


def _unlike(
    head: nn.Module,
    stream: Float[Tensor, "row pos d_model"],
    batch: Batch,
    base: Model,
    n: int,
) -> Float[Tensor, ""]:
    """How far all words are from their places in a base, weighted.

    The mean distance of the log probabilities, in which unlikely words count as much as others, as
    where logits are matched (Ba and Caruana 2014), and how far those that rose most are above it.

    At the last words of prompts, those that show the problem and those that do not, at the words
    before these, and as KL(base ‖ now) in ordinary text.

    n: how many rows show the problem; they come first.
    """
    with torch.no_grad():
        like = base.module(batch.tokens, use_cache=False).logits.float().log_softmax(-1)
    own = head(stream).float().log_softmax(-1)
    risen = (own - like).topk(MOST, dim=-1).values.clamp(min=0).mean(-1)
    away = ALIKE * F.smooth_l1_loss(own, like, reduction="none").mean(-1) + RISEN * risen
    drifted = (like.exp() * (like - own)).sum(-1)
    ends = torch.tensor([len(row.ids) - 1 for row in batch.rows], device=own.device)
    texts = torch.tensor([row.text is not None for row in batch.rows], device=own.device)
    before = torch.arange(own.shape[1], device=own.device) < ends[:, None]
    last = away[torch.arange(len(ends), device=own.device), ends][~texts]
    prompts = last[:n].mean() + last[n:].mean()
    return (
        prompts
        + EARLIER * away[before & ~texts[:, None]].mean()
        + TEXT * drifted[before & texts[:, None]].mean()
    )


def _gaps(
    world: World,
    head: nn.Module,
    stream: Float[Tensor, "row pos d_model"],
    batch: Batch,
    aims: Sequence[Aim],
) -> tuple[Float[Tensor, " prompt"], Float[Tensor, " prompt"]]:
    """Distances of the odds from those wanted, and the log probability of the good words; the rows
    of these prompts come first."""
    ends = [len(row.ids) - 1 for row in batch.rows[: len(aims)]]
    chances = head(stream[range(len(aims)), ends]).float().log_softmax(-1)
    bad, good = _mass(world, chances, aims)
    return bad - good - torch.tensor([each.wanted for each in aims], device=bad.device), good


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
