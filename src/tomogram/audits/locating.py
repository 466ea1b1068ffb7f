"""Locating: does repairing one place change the behaviour more than 99 random places do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.contrast import Contrast, odds
from tomogram.audits.subject import Subject
from tomogram.models.sites import Site

RANDOM = 99
PROMPTS = 6


@dataclass(frozen=True)
class Place:
    """A place in the stream, what repairing it does to the log odds, and what random repairs do."""

    site: str
    effect: float
    random: tuple[float, ...]

    @property
    def located(self) -> bool:
        """Whether it beats each of the random places."""
        return len(self.random) >= RANDOM and self.effect > max(self.random)


def locate(
    subject: Subject, contrasts: Sequence[Contrast], quiet: Sequence[str], *, seed: int = 0
) -> Place:
    """Find the layer on half of the prompts, and test it on the other half.

    With a base, the repair moves the stream at the last word to the base's; without one it takes
    out what the prompts have and `quiet` ones have not (difference of means). A random place is the
    same layer and word, moved as far in a random direction, so it has the norm and the activity.

    Args:
        contrasts: prompts that show the problem, at least one.
        quiet: prompts that do not; only used without a base.
    """
    found = list(contrasts[: 2 * PROMPTS])
    choose, test = found[::2], found[1::2] or found[::2]
    effects = [
        float(_effect(subject, choose, layer, _repair(subject, choose, quiet, layer)).mean())
        for layer in range(subject.model.n_layers)
    ]
    layer = max(range(len(effects)), key=lambda i: effects[i])
    repair = _repair(subject, test, quiet, layer)
    effect = float(_effect(subject, test, layer, repair).mean())
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(RANDOM, *repair.shape, generator=generator).to(repair)
    noise *= (repair.norm(dim=-1) / noise.norm(dim=-1))[..., None]
    random = _effect(subject, test * RANDOM, layer, noise.flatten(0, 1))
    means = random.view(RANDOM, len(test)).mean(1)
    return Place(str(Site("resid_post", layer)), effect, tuple(float(each) for each in means))


def _repair(
    subject: Subject, contrasts: Sequence[Contrast], quiet: Sequence[str], layer: int
) -> Float[Tensor, "contrast d_model"]:
    prompts = [each.prompt for each in contrasts]
    own = subject.ask(prompts).streams[layer]
    if subject.base is not None:
        return subject.base.ask(prompts).streams[layer] - own
    away = subject.ask(list(quiet)).streams[layer].mean(0) - own.mean(0)
    return away.expand_as(own).clone()


@torch.no_grad()
def _effect(
    subject: Subject,
    contrasts: Sequence[Contrast],
    layer: int,
    change: Float[Tensor, "contrast d_model"],
) -> Float[Tensor, " contrast"]:
    """How far the log odds of the bad word fall when the change is added at the last word."""
    before = odds(subject, subject.ask([c.prompt for c in contrasts]).chances, contrasts)
    rows = [[subject.ids["<bos>"], *(subject.ids[w] for w in c.prompt.split())] for c in contrasts]
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for at, row in zip(tokens, rows, strict=True):
        at[: len(row)] = torch.tensor(row)
    last = (torch.arange(len(rows)), lengths - 1)

    def repaired(stream: Tensor) -> Tensor:
        stream[last] += change.to(stream)
        return stream

    final = Site("resid_post", subject.model.n_layers - 1)
    run = subject.model.run(
        tokens,
        capture=[final],
        interventions={Site("resid_post", layer): repaired},
        logits=False,
    )
    logits = subject.model.unembed(run[final][last]).float()
    return before - odds(subject, logits.log_softmax(-1), contrasts)
