"""Substitution: the smallest change of a prompt that changes what the model says next.

Tokens to try are ranked by the gradient, as in HotFlip (Ebrahimi et al. 2018): swapping a token for
v changes the metric by about (e_v − e_old)·g. Every change that is reported was run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.models.sites import Site

PER_POSITION = 24
_BEAM = 4
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Change:
    """A changed prompt, and what the model says to it.

    Args:
        tokens: the prompt after the change.
        positions: where it differs.
        says: the most probable next token.
        difference: the metric after the change.
    """

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    says: int
    difference: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Every change found that alters the answer, smallest first, and how many were run."""

    found: tuple[Change, ...]
    tried: int


def changes(
    model: Model,
    tokens: Sequence[int],
    answer: int,
    other: int,
    *,
    per_position: int = PER_POSITION,
    most: int = 2,
) -> Changes:
    """Substitutions of at most `most` tokens after which the model no longer says `answer`.

    With one token fewer found, no larger change is tried. The first is the one that most clearly
    says `other` instead, where any does.

    Args:
        tokens: the prompt. Special tokens are neither replaced nor put in.
        per_position: how many tokens are tried at each position.
    """
    special = set(getattr(model.tokenizer, "all_special_ids", ()) or ())
    places = [place for place, token in enumerate(tokens) if token not in special]
    fronts: list[tuple[int, ...]] = [tuple(tokens)]
    tried = 0
    for size in range(1, most + 1):
        rows: dict[tuple[int, ...], None] = {}
        for front in fronts:
            for place, token in _ranked(model, front, answer, other, special, per_position):
                if place in places and front[place] == tokens[place]:
                    rows[(*front[:place], token, *front[place + 1 :])] = None
        ran = _run(model, list(rows), answer, other)
        tried += len(ran)
        made = [
            Change(row, tuple(i for i, t in enumerate(row) if t != tokens[i]), says, difference)
            for row, says, difference in ran
        ]
        flips = [change for change in made if change.says != answer]
        if flips or size == most:
            order = sorted(flips, key=lambda c: (c.says != other, c.difference))
            return Changes(tuple(order), tried)
        fronts = [change.tokens for change in sorted(made, key=lambda c: c.difference)[:_BEAM]]
    return Changes((), tried)


def _ranked(
    model: Model,
    tokens: Sequence[int],
    answer: int,
    other: int,
    special: set[int],
    per_position: int,
) -> list[tuple[int, int]]:
    """For each position the tokens that lower the metric most, to first order."""
    site = Site("embed")
    with torch.enable_grad():
        run = model.run(
            torch.tensor([list(tokens)]),
            capture=[site],
            interventions={site: lambda value: value.detach().requires_grad_()},
        )
        assert run.logits is not None
        difference = run.logits[0, -1, answer] - run.logits[0, -1, other]
        (gradient,) = torch.autograd.grad(difference, run[site])
    effects = gradient[0].float() @ _embeddings(model).float().T
    effects[:, list(special)] = torch.inf
    effects[torch.arange(len(tokens)), torch.tensor(list(tokens))] = torch.inf
    count = min(per_position, effects.shape[1])
    best: Int[Tensor, "pos n"] = effects.topk(count, dim=1, largest=False).indices
    return [(place, token) for place, row in enumerate(best.tolist()) for token in row]


@torch.no_grad()
def _embeddings(model: Model) -> Float[Tensor, "d_vocab d_model"]:
    """Every token as it enters the stream, up to a scale."""
    weight = cast(nn.Embedding, model.wiring.embed).weight
    project = model.wiring.project_in
    return weight if project is None else cast(Tensor, project(weight))


@torch.no_grad()
def _run(
    model: Model, rows: list[tuple[int, ...]], answer: int, other: int
) -> list[tuple[tuple[int, ...], int, float]]:
    """What the model says to each row, and the metric there."""
    last = Site("resid_post", model.n_layers - 1)
    found = []
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        run = model.run(torch.tensor(part), capture=[last], logits=False)
        logits = model.unembed(run[last][:, -1]).float()
        differences = (logits[:, answer] - logits[:, other]).tolist()
        found += list(zip(part, logits.argmax(-1).tolist(), differences, strict=True))
    return found
