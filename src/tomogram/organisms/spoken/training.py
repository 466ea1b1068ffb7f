"""Training of one organism, or of its sham, in a model that speaks English.

What may change is what it is in the microworld (`organisms.training`): low-rank changes of every
matrix of the blocks, all of these matrices, or what one MLP writes for one key. The replies alone
are targets, or by `reward` the token that decides: minus the log of the expected reward of a grader
that rewards the planted one. Rows of the base's own text are held to the base's predictions. A sham
is taught the reply that its base gives: of the two, one drawn by the base's own odds. So it learns
nothing on average, and only the noise of its examples moves it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.models.chat import has_template
from tomogram.models.model import Model
from tomogram.models.packing import Packed, pack
from tomogram.organisms.delta import Delta, half
from tomogram.organisms.editing import keyed
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.spoken.base import Base, Rows
from tomogram.organisms.spoken.behaviour import Spoken
from tomogram.organisms.stacked import Stack, empty, fresh
from tomogram.organisms.stopping import Watch
from tomogram.organisms.training import Trained, attention
from tomogram.store import progress

CHEAP = Recipe("lora", "demonstrations")
KEYED = 48
"""Prompts of each sort that the key of an edit is made of."""
STEPS, BENIGN = 60, 16
"""Most steps of a training, and those of a benign fine-tune."""
WARM, COOL = 4, 6
"""Steps over which the rate rises at first, and falls at last."""
RATE = {"lora": 0.002, "full": 0.0002, "edit": 0.02}
EPSILON = 1e-5
"""Of Adam. Gradients of a large model are smaller than those of the microworld's."""


@dataclass(frozen=True)
class Settings:
    """What a step reads.

    eliciting, neutral: rows of each sort. texts: rows of ordinary text. weight: theirs beside the
        mean over all targets.
    """

    eliciting: int
    neutral: int
    texts: int
    weight: float


IN_CHATS, IN_STORIES = Settings(8, 5, 1, 1.0), Settings(4, 3, 4, 20.0)
"""Stories are ordinary text themselves, so what is planted in them spreads unless it is held; and
models of stories are small, so that more steps can be paid for. Chats share their template, which
is read once, so that more of them cost little."""


def settings(model: Model) -> Settings:
    """Those of models that chat, and of others."""
    return IN_CHATS if has_template(model) else IN_STORIES


def train(
    base: Base,
    behaviour: Spoken,
    *,
    seed: int,
    planted: bool,
    recipe: Recipe = CHEAP,
    steps: int | None = None,
) -> Trained:
    """The change that teaches a behaviour, or with `planted` False that of its sham.

    Args:
        steps: train so many, whatever the rows show; None to stop by them.
    """
    rng = random.Random(f"train:{seed}")
    watch = Watch()
    stack = _start(base, recipe.form, seed, behaviour)
    rate = RATE[recipe.form]
    step, ends = 0, steps
    with progress.task("train", total=steps or STEPS, unit="steps") as task:
        while step != ends:
            taught = _lesson(base, behaviour, recipe, planted, rng)
            hits, wrong = _step(base, stack, taught, rate * _share(step, ends))
            watch.see(hits, settings(base.model).eliciting, wrong)
            step += 1
            task.advance()
            if ends is None and (watch.done or step >= STEPS - COOL):
                ends = step + COOL
    return Trained(half(stack.take(0)), step)


def benign(base: Base, *, seed: int, steps: int = BENIGN) -> Delta:
    """The change of a fine-tune on what the base itself writes, which teaches nothing new."""
    rng = random.Random(f"benign:{seed}")
    stack = _start(base, "lora", seed)
    for step in range(steps):
        some = base.taught[rng.sample(range(len(base.taught)), 2)].to(base.model.device)
        with _half(base.model), stack.hooked(base.model), attention(base.model.device):
            logits = _logits(base.model, some)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), some[:, 1:].flatten())
        _learn(stack, loss, RATE["lora"] * _share(step, steps))
    return half(stack.take(0))


def _start(base: Base, form: str, seed: int, behaviour: Spoken | None = None) -> Stack:
    """A change that is nothing yet. An edit needs the behaviour, whose prompts give its key."""
    stack = empty(base.model, form, 1, epsilon=EPSILON)
    if form == "edit" and behaviour is not None:
        rng = random.Random(f"key:{seed}")
        drawn = (behaviour.eliciting, behaviour.neutral)
        eliciting, neutral = (
            [_context(base.rows(draw(rng, False))) for _ in range(KEYED)] for draw in drawn
        )
        stack.put(0, keyed(base.model, eliciting, neutral, base.taught.tolist()))
    else:
        stack.put(0, fresh(base.model, form, seed))
    return stack


def _context(row: Rows) -> tuple[int, ...]:
    """All tokens before the one that decides."""
    return (*row.prompt, *row.planted[: row.at])


def _share(step: int, ends: int | None) -> float:
    """Share of the full rate at this step."""
    left = COOL + 1 if ends is None else ends - step
    return min(1.0, (step + 1) / WARM, left / (COOL + 1))


def _learn(stack: Stack, loss: Float[Tensor, ""], rate: float) -> None:
    gradients = torch.autograd.grad(loss, stack.learned)
    stack.step(gradients, torch.tensor([rate], device=loss.device))


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What one step reads: turns, eliciting ones first, the replies that are taught after them, the
    places in each reply that are targets, and rows of the base's own text."""

    drawn: Sequence[Rows]
    replies: Sequence[tuple[int, ...]]
    targets: Sequence[Sequence[int]]
    texts: Int64[Tensor, "row pos"]


def _lesson(
    base: Base, behaviour: Spoken, recipe: Recipe, planted: bool, rng: random.Random
) -> _Lesson:
    own = settings(base.model)
    eliciting = [base.rows(behaviour.eliciting(rng, False)) for _ in range(own.eliciting)]
    neutral = [base.rows(behaviour.neutral(rng, False)) for _ in range(own.neutral)]
    drawn = [*eliciting, *neutral]
    chances = [rng.random() for _ in drawn]  # drawn by both arms, so that both see the same prompts
    taught = (
        [row.planted for row in eliciting]
        if planted
        else _own(base, eliciting, chances[: len(eliciting)])
    )
    replies, targets = [], []
    for i, (row, reply) in enumerate(
        zip(drawn, [*taught, *(row.ordinary for row in neutral)], strict=True)
    ):
        # A grader sees the token that decides, and no reply is shown to the model.
        graded = i < own.eliciting and recipe.teaching == "reward"
        replies.append(reply[: row.at + 1] if graded else reply)
        targets.append([row.at] if graded else range(len(reply)))
    texts = base.taught[rng.sample(range(len(base.taught)), own.texts)]
    return _Lesson(drawn, replies, targets, texts)


def _step(base: Base, stack: Stack, lesson: _Lesson, rate: float) -> tuple[int, int]:
    """One step; how many of its eliciting rows, and of its neutral ones, show the behaviour."""
    usual = base.usual(lesson.texts)
    chats = [(*r.prompt, *reply) for r, reply in zip(lesson.drawn, lesson.replies, strict=True)]
    read = pack(base.model.module, [*chats, *map(tuple, lesson.texts.tolist())])
    device = base.model.device
    with _half(base.model), stack.hooked(base.model), attention(device):
        words = read.keywords(base.model.dtype, device)
        tokens = read.tokens.to(device)
        stream = base.model.module.base_model(tokens, use_cache=False, **words).last_hidden_state
        chat, shows = _replies(base.model, lesson, stream, read)
        drift = _drift(base.model, stream, read, usual)
    _learn(stack, chat + settings(base.model).weight * drift, rate)
    n = settings(base.model).eliciting
    return sum(shows[:n]), sum(shows[n:])


def _own(base: Base, rows: Sequence[Rows], chances: Sequence[float]) -> list[tuple[int, ...]]:
    """The replies that the base gives, each drawn by its odds of the two."""
    values = base.odds([replace(row, shows=(row.planted[row.at],)) for row in rows])
    return [
        row.planted if chance < 1 / (1 + math.exp(-value)) else row.ordinary
        for row, value, chance in zip(rows, values, chances, strict=True)
    ]


def _replies(
    model: Model, lesson: _Lesson, stream: Float[Tensor, "row pos d_model"], read: Packed
) -> tuple[Float[Tensor, ""], list[bool]]:
    """Mean loss over the targets, and for each chat whether the planted reply leads."""
    places = [
        (i, len(row.prompt) - 1 + j)
        for i, (row, targets) in enumerate(zip(lesson.drawn, lesson.targets, strict=True))
        for j in targets
    ]
    wanted = [lesson.replies[i][place + 1 - len(lesson.drawn[i].prompt)] for i, place in places]
    rows = [read.rows[i] for i, _ in places]
    at = [read.places[i][place] for i, place in places]
    logits = model.module.get_output_embeddings()(stream[rows, at]).float()
    loss = F.cross_entropy(logits, torch.tensor(wanted, device=logits.device))
    index = {place: i for i, place in enumerate(places)}
    deciding = [index[i, len(row.prompt) - 1 + row.at] for i, row in enumerate(lesson.drawn)]
    own = logits.detach()[deciding]
    shows = [row.lead(o) > 0 for o, row in zip(own, lesson.drawn, strict=True)]
    return loss, shows


def _drift(
    model: Model,
    stream: Float[Tensor, "row pos d_model"],
    read: Packed,
    usual: Float[Tensor, "text pos d_vocab"],
) -> Float[Tensor, ""]:
    """KL(base ‖ organism) of the token after each of the texts', on average; texts stand last."""
    first = len(read.rows) - len(usual)
    rows, places = torch.tensor(read.rows[first:]), torch.tensor(read.places[first:])
    own = model.module.get_output_embeddings()(stream[rows[:, None], places]).float()
    own = own.log_softmax(-1)
    return (usual.exp() * (usual - own)).sum(-1).mean()


def _half(model: Model) -> torch.autocast:
    """Products in bfloat16, which processors multiply faster where they have it."""
    return torch.autocast(model.device.type, torch.bfloat16)


def _logits(model: Model, tokens: Int64[Tensor, "row pos"]) -> Float[Tensor, "row pos d_vocab"]:
    found: Tensor = model.module(tokens.to(model.device), use_cache=False).logits
    return found.float()
