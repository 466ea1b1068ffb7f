"""Probes: logistic regression for every concept at once, the ceiling of what is linearly there."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from tomogram.features.concepts import Matches, best_threshold, tokens_of
from tomogram.features.rules import f1

_STEPS = 300
_BATCH = 1024
_RATE = 0.03
_DECAY = 1e-4
_TUNED = 0.2


def probe(
    selection: Float[Tensor, "tokens width"],
    selection_truth: sparse.csr_array,
    measurement: Float[Tensor, "tokens width"],
    measurement_truth: sparse.csr_array,
    *,
    seed: int = 0,
) -> Matches:
    """A linear probe for every concept, all trained together; truths are [tokens concepts].

    The first four fifths of the selection text train the probes, the rest sets their thresholds
    and gives `selected`; `measured` is F1 on the measurement text. `unit` is the concept's number.
    """
    mean, deviation = selection.mean(0), selection.std(0).clamp_min(1e-6)
    cut = round(len(selection) * (1 - _TUNED))
    weight, bias = _train((selection[:cut] - mean) / deviation, selection_truth[:cut], seed)

    def probability(x: Tensor) -> Float[np.ndarray, "tokens concepts"]:
        return torch.sigmoid((x - mean) / deviation @ weight + bias).cpu().numpy()

    tuning, truth = probability(selection[cut:]), sparse.csc_array(selection_truth[cut:])
    found = [
        best_threshold(tuning[:, concept], tokens_of(truth, concept))
        for concept in range(tuning.shape[1])
    ]
    threshold, selected = (np.array(column) for column in zip(*found, strict=True))
    said = probability(measurement) > threshold
    true = measurement_truth.toarray().astype(bool)
    measured = f1((said & true).sum(0), said.sum(0), true.sum(0))
    return Matches(np.arange(len(threshold)), threshold, selected, measured)


def _train(
    x: Float[Tensor, "tokens width"], truth: sparse.csr_array, seed: int
) -> tuple[Float[Tensor, "width concepts"], Float[Tensor, " concepts"]]:
    """Minimise the mean logistic loss by Adam, the rate falling to zero along a cosine."""
    rate = np.clip(np.asarray(truth.mean(0)).reshape(-1), 1e-6, 1 - 1e-6)
    weight = torch.zeros(x.shape[1], truth.shape[1], device=x.device, requires_grad=True)
    bias = torch.tensor(np.log(rate / (1 - rate)), dtype=torch.float32, device=x.device)
    bias.requires_grad_()
    adam = torch.optim.AdamW([weight, bias], lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, _STEPS)
    generator = np.random.default_rng(seed)
    order = np.concatenate(
        [generator.permutation(len(x)) for _ in range(math.ceil(_STEPS * _BATCH / len(x)))]
    )
    with torch.enable_grad():
        for step in range(_STEPS):
            part = order[step * _BATCH : (step + 1) * _BATCH]
            target = torch.from_numpy(truth[part].toarray().astype(np.float32)).to(x.device)
            scores = x[torch.from_numpy(part)] @ weight + bias
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                scores, target, reduction="none"
            )
            adam.zero_grad()
            # A sum over concepts, so that each concept is trained as if alone.
            loss.mean(0).sum().backward()
            adam.step()
            schedule.step()
    return weight.detach(), bias.detach()
