"""Search by a prompt: which features fire here, and which of them matter for the next token.

What a feature does to the log probability of a token is estimated for all of them at once from one
gradient, activation times the gradient along its direction (attribution patching; Nanda 2023), and
measured for the foremost by taking the feature's part out of the model at that place and running
on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.reading import Reading, read
from tomogram.features.units import Firings
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

MEASURED = 32
"""Firings whose effect is measured by taking them out."""


@dataclass(frozen=True)
class Firing:
    """One feature on one token of the prompt."""

    family: str
    unit: int
    position: int
    activation: float
    estimated: float
    """What taking it out would cost the target's log probability, from the gradient, in nats."""
    measured: float | None
    """The same by taking it out; None where that was not done."""


@dataclass(frozen=True)
class PromptReading:
    """What fires in a prompt and what it does to the next token."""

    tokens: tuple[int, ...]
    target: int
    """The next token the effects are about."""
    probability: float
    """The model's probability of it."""
    firings: tuple[Firing, ...]
    """The largest effects first."""


def read_prompt(
    model: Model,
    dictionaries: Sequence[Dictionary],
    tokens: Sequence[int],
    *,
    target: int | None = None,
    measured: int = MEASURED,
) -> PromptReading:
    """Every firing in a prompt with its effect on the next token.

    Args:
        target: id of the token the effects are about; the model's likeliest one when None.
        measured: firings with the largest estimates that are taken out, one at a time.

    Raises:
        TomogramError: the prompt is empty or too long, or the target is no token of the model.
    """
    reading = read(model, dictionaries, [tokens])
    if target is not None and not 0 <= target < model.d_vocab:
        raise TomogramError(f"{model.name} has no token {target}.")
    sites = sorted({site for each in dictionaries for site in each.shape.writes}, key=str)
    gradients, target, log_probability = _gradients(model, tokens, sites, target)
    columns = [_effects(reading, each, gradients) for each in dictionaries]
    owner = np.repeat(np.arange(len(columns)), [len(own) for _, own in columns])
    estimates = np.concatenate([own for _, own in columns]) if columns else np.zeros(0)
    within = np.concatenate([np.arange(len(own)) for _, own in columns])
    order = np.argsort(-np.abs(estimates), kind="stable")
    taken = order[:measured]
    losses = _taken_out(
        model,
        tokens,
        [(dictionaries[owner[i]], columns[owner[i]][0], int(within[i])) for i in taken],
        target,
        log_probability,
    )
    found = []
    for place, i in enumerate(order):
        firings = columns[owner[i]][0]
        j = within[i]
        found.append(
            Firing(
                family=dictionaries[owner[i]].name,
                unit=int(firings.unit[j]),
                position=int(firings.token[j]),
                activation=float(firings.activation[j]),
                estimated=float(estimates[i]),
                measured=losses[place] if place < len(losses) else None,
            )
        )
    return PromptReading(reading.texts[0], target, float(np.exp(log_probability)), tuple(found))


def _gradients(
    model: Model, tokens: Sequence[int], sites: Sequence[Site], target: int | None
) -> tuple[dict[Site, Float[Tensor, "pos width"]], int, float]:
    """Gradient of the target's log probability at each site, the target, and its value."""
    leaves: dict[Site, Tensor] = {}

    def watched(site: Site) -> Intervention:
        def add(x: Tensor) -> Tensor:
            leaves[site] = torch.zeros_like(x, requires_grad=True)
            return x + leaves[site]

        return add

    with torch.enable_grad():
        run = model.run(
            torch.tensor([list(tokens)]), interventions={site: watched(site) for site in sites}
        )
        assert run.logits is not None
        scores = run.logits[0, -1].float().log_softmax(-1)
        if target is None:
            target = int(scores.argmax())
        if sites:
            scores[target].backward()
    gradients = {}
    for site, leaf in leaves.items():
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        gradients[site] = gradient[0].flatten(1).float()
    return gradients, target, float(scores[target].detach())


def _effects(
    reading: Reading, dictionary: Dictionary, gradients: Mapping[Site, Tensor]
) -> tuple[Firings, Float[np.ndarray, " firings"]]:
    """The dictionary's firings, and what taking each out would cost, to first order."""
    firings = reading.firings[dictionary.name]
    towards = torch.cat([gradients[site] for site in dictionary.shape.writes], dim=1)
    token = torch.from_numpy(firings.token).to(towards.device)
    unit = torch.from_numpy(firings.unit).to(dictionary.W_dec.device)
    directions = dictionary.W_dec.detach()[unit].float().to(towards.device)
    slope = (directions * towards[token]).sum(1).cpu().numpy()
    return firings, slope * firings.activation


@torch.no_grad()
def _taken_out(
    model: Model,
    tokens: Sequence[int],
    firings: Sequence[tuple[Dictionary, Firings, int]],
    target: int,
    log_probability: float,
) -> list[float]:
    """Log probability of the target less that without each firing, one row of a batch a firing."""
    if not firings:
        return []
    change: dict[Site, Tensor] = {}
    for row, (dictionary, own, i) in enumerate(firings):
        direction = dictionary.W_dec.detach()[int(own.unit[i])]
        part = float(own.activation[i]) * direction
        position = int(own.token[i])
        writes = dictionary.shape.writes
        for site, piece in zip(writes, part.chunk(len(writes)), strict=True):
            if site not in change:
                change[site] = torch.zeros(len(firings), len(tokens), len(piece))
            change[site][row, position] -= piece.float().cpu()

    def without(site: Site) -> Intervention:
        return lambda x: x + change[site].to(x.device, x.dtype).reshape(x.shape)

    run = model.run(
        torch.tensor([list(tokens)] * len(firings)),
        interventions={site: without(site) for site in change},
    )
    assert run.logits is not None
    scores = run.logits[:, -1].float().log_softmax(-1)[:, target]
    return [log_probability - float(score) for score in scores]
