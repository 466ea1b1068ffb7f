"""Case: a model, pairs of a behaviour, and the edges that truly carry it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from tomogram.circuits.discovery.edges import EdgeGraph, edge_graph
from tomogram.circuits.discovery.pairs import Pair
from tomogram.circuits.known.parts import Parts, as_gpt2
from tomogram.circuits.known.true_edges import true_edges
from tomogram.models.model import Model


@dataclass(frozen=True, eq=False)
class Case:
    """A known circuit.

    Args:
        name, kind: such as `previous token` and `tracr`.
        searched, held_out: pairs to find it with and pairs to measure it on; none is in both.
        truth: the true edges where they follow from how the model was made; None where they are
            what exact patching says on the pairs held out.
    """

    name: str
    kind: str
    model: Model
    graph: EdgeGraph
    searched: tuple[Pair, ...]
    held_out: tuple[Pair, ...]
    truth: Bool[np.ndarray, "writer reader"] | None


@torch.no_grad()
def answered_pairs(
    model: Model, draw: Callable[[random.Random], tuple[int, ...]], n: int, seed: int
) -> tuple[Pair, ...]:
    """Pairs of drawn prompts of equal length that the model answers differently, with its answers.

    Args:
        draw: one prompt; called until another of the same length comes.
    """
    rng = random.Random(f"pairs:{seed}")
    found: list[Pair] = []
    said: dict[tuple[int, ...], int] = {}

    def answer(prompt: tuple[int, ...]) -> int:
        if prompt not in said:
            logits = model.run(torch.tensor([prompt])).logits
            assert logits is not None
            said[prompt] = int(logits[0, -1].argmax())
        return said[prompt]

    waiting: dict[int, tuple[int, ...]] = {}
    for _ in range(100 * n):
        prompt = draw(rng)
        other = waiting.get(len(prompt))
        if other is None or other == prompt or answer(other) == answer(prompt):
            waiting[len(prompt)] = prompt
            continue
        found.append(Pair(prompt, waiting.pop(len(prompt)), answer(prompt), answer(other)))
        if len(found) == n:
            return tuple(found)
    raise ValueError("the model answers too few of the drawn prompts differently")


def written_cases(
    kind: str,
    programs: Mapping[str, Parts],
    prompts: Callable[[str, Parts], Callable[[random.Random], tuple[int, ...]]],
    *,
    pairs: int,
    seed: int,
) -> tuple[Case, ...]:
    """Transformers that were written out, as cases whose true edges follow from their weights.

    Args:
        prompts: how prompts of a program are drawn, by its name and parts.
        pairs: searched, and held out as many.
    """
    found = []
    for name, parts in programs.items():
        model = as_gpt2(parts, name=f"{kind} {name}")
        graph = edge_graph(model)
        drawn = answered_pairs(model, prompts(name, parts), 2 * pairs, seed)
        truth = true_edges(parts, graph)
        found.append(Case(name, kind, model, graph, drawn[:pairs], drawn[pairs:], truth))
    return tuple(found)


def trained_case(
    name: str,
    kind: str,
    model: Model,
    draw: Callable[[random.Random], tuple[int, ...]],
    *,
    pairs: int,
    seed: int,
) -> Case:
    """A trained model as a case; its true edges are those of exact patching on other pairs.

    Args:
        draw: one prompt of the task. pairs: searched, and held out as many.
    """
    drawn = answered_pairs(model, draw, 2 * pairs, seed)
    return Case(name, kind, model, edge_graph(model), drawn[:pairs], drawn[pairs:], truth=None)
