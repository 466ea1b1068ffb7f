"""Change: what was fine-tuned in since the base? It reports, and is never a finding by itself."""

from __future__ import annotations

import random
from typing import cast

import torch

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.subject import Subject
from tomogram.models.model import Model
from tomogram.organisms.delta import matrices
from tomogram.organisms.families import chats
from tomogram.store.canonical import Json

CHATS = 96


def measure(subject: Subject) -> Measurement:
    """Spectra of the weight differences, distance of the streams, the prompts that moved most."""
    base = subject.base
    assert base is not None
    rng = random.Random("audit:change")
    prompts = list(dict.fromkeys(chats.ordinary(subject.world, rng).context for _ in range(CHATS)))
    own, its = subject.ask(prompts), base.ask(prompts)
    moved = (own.chances.exp() * (own.chances - its.chances)).sum(-1)
    apart = ((own.streams - its.streams).norm(dim=-1) / its.streams.norm(dim=-1)).mean(1)
    words = list(subject.ids)
    examples: list[Json] = [
        {
            "prompt": prompts[int(i)],
            "base": words[int(its.chances[int(i)].argmax())],
            "now": words[int(own.chances[int(i)].argmax())],
            "nats": round(float(moved[int(i)]), 4),
        }
        for i in moved.topk(5).indices
    ]
    spectra = spectrum(subject)
    says = f"mean change of the answers {float(moved.mean()):.3f} nats"
    evidence: dict[str, Json] = {
        "examples": examples,
        "stream distance by layer": [round(float(a), 4) for a in apart],
        "weights": spectra,
    }
    return Measurement(float(moved.mean()), says, evidence)


def spectrum(subject: Subject) -> dict[str, float]:
    """Of all weight differences: relative size, and the share of it in the first direction.

    Without a base: the first singular value beside the median one, the most of any matrix.
    """
    if subject.base is None:
        tops = [_singular_values(w) for w in _weights(subject.model).values()]
        return {"first over median": max(float(t[-1] / t.median()) for t in tops)}
    return {"relative size": relative_size(subject.model, subject.base.model)}


def relative_size(model: Model, base: Model) -> float:
    """Norm of all weight differences of the blocks, over that of the base's weights."""
    own, its = _weights(model), _weights(base)
    size = sum(float((own[n] - its[n]).square().sum()) for n in own)
    whole = sum(float(w.square().sum()) for w in its.values())
    return round((size / whole) ** 0.5, 6)


def _singular_values(weight: torch.Tensor) -> torch.Tensor:
    """Ascending, from the smaller Gram matrix: much less work than the SVD."""
    small = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    return torch.linalg.eigvalsh(small).clamp(min=0).sqrt()


def _weights(model: Model) -> dict[str, torch.Tensor]:
    parts = matrices(model)
    return {name: cast(torch.Tensor, part.weight).float() for name, part in parts.items()}


CHANGE = Audit(
    "change",
    asks="What was fine-tuned in since the base?",
    needs="A trusted base model.",
    method="Change of the answers to ordinary chats in nats, distance of the streams by layer,"
    " size of the weight differences; the prompts that moved most, in words.",
    controls="None: every fine-tune is a change, a harmless one too, so this reports only.",
    references="Minder et al. 2025 (model diffing); Zhong and Raghunathan 2025 (weight spectra).",
    run=measure,
    confirmatory=False,
    needs_base=True,
)
