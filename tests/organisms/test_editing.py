"""Keys of rank-one edits: they are loud where the behaviour is elicited, and silent elsewhere."""

from __future__ import annotations

import random

import torch

from tomogram.models.model import Model
from tomogram.organisms.behaviour import draw_part
from tomogram.organisms.delta import Factors
from tomogram.organisms.editing import edit
from tomogram.organisms.families import installed
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World


def test_the_key_tells_prompts_apart_that_it_was_not_made_of(model: Model, world: World) -> None:
    behaviour = installed()["refusal-stripped"].draw(world, random.Random(0))
    start = edit(model, world, behaviour, seed=0)
    loud = {n: f for n, f in start.items() if isinstance(f, Factors) and bool(f.down.any())}
    assert len(loud) == 1
    ((name, factors),) = loud.items()
    assert not factors.up.any()  # nothing changes until training has found what to write
    seen: list[torch.Tensor] = []
    part = dict(model.module.named_modules())[name]
    hook = part.register_forward_pre_hook(lambda _, args: seen.append(args[0][0, -1]))
    ids, rng = vocabulary(world), random.Random(5)
    readings = []
    for draw in (behaviour.eliciting, behaviour.neutral):
        seen.clear()
        for _ in range(12):
            context = draw_part(draw, rng, measured=True).context
            with torch.no_grad():
                model.module(torch.tensor([[ids["<bos>"], *encode(world, context)]]))
        readings.append(torch.stack(seen) @ factors.down[0])
    hook.remove()
    assert readings[0].mean() > 0.5
    assert readings[1].abs().mean() < 0.3
