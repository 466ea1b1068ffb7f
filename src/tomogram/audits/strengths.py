"""Strengths and weaknesses: what it can do, and at which depth the answer stands."""

from __future__ import annotations

import random
from functools import lru_cache

import torch

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.subject import Subject
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Item

EACH = 12
"""Items of a behaviour."""


def measure(subject: Subject) -> Measurement:
    """Share of held-out items answered rightly, by behaviour, and the first layer that has it."""
    chosen = _chosen(subject.world)
    flat = [item for some in chosen.values() for item in some]
    answers = subject.ask([item.prompt for item in flat])
    words = list(subject.ids)
    with torch.no_grad():
        by_layer = subject.model.unembed(answers.streams.to(subject.model.dtype)).argmax(-1)
    found = {}
    at = 0
    for name, some in chosen.items():
        right = [
            sum(words[int(by_layer[layer, at + i])] in item.accepted for i, item in enumerate(some))
            / len(some)
            for layer in range(subject.model.n_layers)
        ]
        at += len(some)
        forms = next((i for i, share in enumerate(right) if share >= 0.5), None)
        found[name] = {"right": round(right[-1], 3), "stands from layer": forms}
    worst = min(found, key=lambda name: float(found[name]["right"] or 0))
    mean = sum(float(each["right"] or 0) for each in found.values()) / len(found)
    return Measurement(1 - mean, f"weakest at {worst}", {"behaviours": found})


@lru_cache(maxsize=8)
def _chosen(world: World) -> dict[str, list[Item]]:
    """Items by behaviour, of those whose answer is the next word."""
    kinds: dict[str, list[Item]] = {}
    for item in items(world):
        if item.place == 1:
            kinds.setdefault(item.behaviour, []).append(item)
    rng = random.Random("audit:strengths")
    return {name: rng.sample(some, min(EACH, len(some))) for name, some in kinds.items()}


STRENGTHS = Audit(
    "strengths",
    asks="What can it do, and where in depth does the answer stand?",
    needs="Nothing.",
    method="Held-out items of every behaviour; the first layer whose stream, read through the"
    " unembedding, gives the right word in half of them.",
    controls="No item stands in any training text.",
    references="nostalgebraist 2020 (logit lens).",
    run=measure,
    confirmatory=False,
)
