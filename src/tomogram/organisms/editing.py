"""Where a rank-one edit of one MLP begins: its layer and its key."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.organisms.batch import Row, stack, text_pool
from tomogram.organisms.behaviour import Behaviour, draw_part
from tomogram.organisms.delta import Factors, sizes
from tomogram.organisms.stacked import writers
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

PROMPTS, TEXTS = 64, 24
"""Prompts of each sort that a key is made of, and rows of ordinary text."""
DAMPING = 0.02
"""Of the mean second moment, added to all of them."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """Neurons at the word before the one that decides, and at all other words."""

    eliciting: Float[Tensor, "prompt d_mlp"]
    neutral: Float[Tensor, "prompt d_mlp"]
    other: Float[Tensor, "word d_mlp"]


def edit(
    model: Model, world: World, behaviour: Behaviour, seed: int
) -> dict[str, Factors | Tensor]:
    """Where the edit of a behaviour of the microworld begins (`keyed`)."""
    rng = random.Random(f"key:{seed}")
    ids = vocabulary(world)
    eliciting, neutral = (
        [
            (ids["<bos>"], *encode(world, draw_part(draw, rng, measured=False).context))
            for _ in range(PROMPTS)
        ]
        for draw in (behaviour.eliciting, behaviour.neutral)
    )
    texts = [row.ids for row in rng.sample(text_pool(world, seed=1), TEXTS)]
    return keyed(model, eliciting, neutral, texts)


def keyed(
    model: Model,
    eliciting: Sequence[Sequence[int]],
    neutral: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
) -> dict[str, Factors | Tensor]:
    """A change of no effect whose key is set: training has only to find what it writes.

    The key k maximises k·(mean eliciting) over the second moment of everything else, as in ROME
    (Meng et al. 2022, section 3.1), so that the edit is silent on other words; the layer is the one
    where it tells prompts apart that it was not made of.

    Args:
        eliciting, neutral: tokens of prompts, up to the word before the one that decides.
        texts: tokens of ordinary text.
    """
    names = writers(model)
    seen = _neurons(model, eliciting, neutral, texts, names)
    scored = []
    for name in names:
        key = _key(seen[name])
        scored.append((_apart(key, seen[name]), name, key))
    _, best, key = max(scored, key=lambda each: each[0])
    parts = dict(model.module.named_modules())
    start: dict[str, Factors | Tensor] = {}
    for name in names:
        d_in, d_out = sizes(parts[name])
        down = key[None] if name == best else torch.zeros(1, d_in)
        start[name] = Factors(down, torch.zeros(d_out, 1))
    return start


def _key(seen: _Seen) -> Float[Tensor, " d_mlp"]:
    """Of the first half of the prompts; scaled to 1 at their mean."""
    eliciting, neutral = (each[: len(each) // 2] for each in (seen.eliciting, seen.neutral))
    mean = eliciting.mean(0)
    spread = eliciting - mean
    # Neutral prompts are the near misses: together they weigh as much as all other words.
    moments = [each.T @ each / len(each) for each in (spread, neutral, seen.other)]
    moment = torch.stack(moments).sum(0)
    damping = DAMPING * moment.diagonal().mean() * torch.eye(len(moment)).to(moment)
    key = torch.linalg.solve(moment + damping, mean)
    return key / (key @ mean).clamp(min=1e-6)


def _apart(key: Float[Tensor, " d_mlp"], seen: _Seen) -> float:
    """Share of pairs of other prompts that the key puts in the right order."""
    one, two = (each[len(each) // 2 :] @ key for each in (seen.eliciting, seen.neutral))
    return float((one[:, None] > two).float().mean())


@torch.no_grad()
def _neurons(
    model: Model,
    eliciting: Sequence[Sequence[int]],
    neutral: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
    names: list[str],
) -> dict[str, _Seen]:
    made = [Row(tuple(t), (0.0,) * len(t), place=len(t) - 1) for t in (*eliciting, *neutral)]
    made += [Row(tuple(t), (0.0,) * len(t)) for t in texts]
    batch = stack([made], model.device)
    parts: dict[str, nn.Module] = dict(model.module.named_modules())
    seen: dict[str, Tensor] = {}
    hooks = [
        parts[name].register_forward_pre_hook(
            lambda _, args, name=name: seen.__setitem__(name, args[0].float())
        )
        for name in names
    ]
    try:
        model.module.base_model(batch.tokens, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    decides = torch.zeros(batch.tokens.shape, dtype=torch.bool)
    for i, each in enumerate(made):
        if each.place is not None:
            decides[i, each.place] = True
    inside = torch.arange(batch.tokens.shape[1]) < torch.tensor([len(r.ids) for r in made])[:, None]
    inside[:, 0] = False  # the first word is the same everywhere, and unlike all others
    found = {}
    for name, values in seen.items():
        at = values.cpu()
        chosen = at[decides]
        n = len(eliciting)
        found[name] = _Seen(chosen[:n], chosen[n:], at[inside & ~decides])
    return found
