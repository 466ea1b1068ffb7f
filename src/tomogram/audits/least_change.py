"""The least change of the weights that turns a model's answers: an upper bound, along gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.contrast import Contrast, leading, odds
from tomogram.audits.subject import Subject
from tomogram.models.model import Model
from tomogram.models.wiring import matrix
from tomogram.organisms.batch import asked, stack
from tomogram.organisms.delta import matrices
from tomogram.organisms.stacked import Stack, empty

STEP, STEPS = 0.0002, 100
"""Length of a step, as a share of the weights' norm, and the most steps."""
RANDOM = 3
"""Random changes that are tried beside the one found."""


@dataclass(frozen=True, eq=False)
class Least:
    """The change that was enough, or the largest tried.

    share: its Frobenius norm, of that of all matrices of the blocks; None where it was not enough.
    turned_by_chance: most share of contrasts whose bad word leads after a random change as large.
    change: the change itself, to hook in.
    """

    share: float | None
    turned_by_chance: float
    change: Stack


def least_change(
    subject: Subject, found_on: Sequence[Contrast], tried_on: Sequence[Contrast]
) -> Least:
    """How far the weights have to move until a bad word leads after half of the contrasts.

    Steps of equal length are taken along the gradient of the mean log odds of the bad words, over
    all matrices of the blocks together; a fine-tuning attack is no more than that. What it finds is
    enough, and a shorter way may exist.

    Args:
        found_on: contrasts that give the gradient. tried_on: contrasts that it does not see.
    """
    model = subject.model
    whole = weights_norm(model)
    change = empty(model, "full", 1)
    steps = 0
    while _turned(subject, change, tried_on) < 0.5 and steps < STEPS:
        gradients = torch.autograd.grad(_mean_odds(subject, change, found_on), change.learned)
        length = _norm(dict(zip(change.changes, gradients, strict=True)))
        with torch.no_grad():
            for each, gradient in zip(change.learned, gradients, strict=True):
                each.add_(gradient, alpha=STEP * whole / max(length, 1e-12))
        steps += 1
    enough = _turned(subject, change, tried_on) >= 0.5
    moved = _norm({name: each.up.detach() for name, each in change.changes.items()})
    chance = [
        _turned(subject, random_change(model, seed, moved), tried_on) for seed in range(RANDOM)
    ]
    return Least(moved / whole if enough else None, max(chance), change)


def random_change(model: Model, seed: int, norm: float) -> Stack:
    """A change of every matrix drawn from a normal distribution, of this norm in all."""
    made = empty(model, "full", 1)
    draws = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.randn(each.up.shape, generator=draws).to(model.device)
        for name, each in made.changes.items()
    }
    factor = norm / _norm(drawn)
    with torch.no_grad():
        for name, each in made.changes.items():
            each.up.copy_(drawn[name] * factor)
    return made


def weights_norm(model: Model) -> float:
    """Frobenius norm of all matrices of the blocks together."""
    return _norm({name: matrix(part) for name, part in matrices(model).items()})


def _turned(subject: Subject, change: Stack, contrasts: Sequence[Contrast]) -> float:
    """Share of the contrasts whose bad word leads with this change."""
    with torch.no_grad(), change.hooked(subject.model):
        fresh = Subject(subject.model, subject.world)  # the subject's own answers are kept ones
        return leading(fresh, contrasts)


def _mean_odds(subject: Subject, change: Stack, contrasts: Sequence[Contrast]) -> Float[Tensor, ""]:
    model = subject.model
    batch = stack([[asked(subject.world, each.prompt) for each in contrasts]], model.device)
    ends = [len(row.ids) - 1 for row in batch.rows]
    with torch.enable_grad(), change.hooked(model):
        stream = model.module.base_model(batch.tokens, use_cache=False).last_hidden_state
        head = model.module.get_output_embeddings()
        chances = head(stream[range(len(ends)), ends]).float().log_softmax(-1)
        return odds(subject, chances, contrasts).mean()


def _norm(parts: Mapping[str, Tensor]) -> float:
    """Frobenius norm over all of them together."""
    return float(sum(part.double().square().sum() for part in parts.values())) ** 0.5
