"""Tracr: transformers compiled from programs, as cases with their true edges.

The compiled matrices are shipped (`weights/tracr.npz`; Lindner et al. 2023, Apache licence 2.0);
`benchmarks/circuits/compile_tracr.py` makes them again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from tomogram.circuits.known.case import Case, written_cases
from tomogram.circuits.known.parts import Layer, Parts

_FILE = Path(__file__).parent / "weights" / "tracr.npz"
_SHORTEST = 4


@cache
def programs() -> dict[str, Parts]:
    """The compiled programs by name."""
    with np.load(_FILE) as file:
        arrays = {name: file[name] for name in file.files}
    names = dict.fromkeys(name.partition("/")[0] for name in arrays)
    return {name: _parts(arrays, name) for name in names}


def _parts(arrays: dict[str, np.ndarray], name: str) -> Parts:
    own = {
        key[len(name) + 1 :]: value for key, value in arrays.items() if key.startswith(f"{name}/")
    }
    layers: list[Layer] = []
    while f"{len(layers)}/query" in own:
        prefix = f"{len(layers)}/"
        layers.append(
            Layer(**{k[len(prefix) :]: v for k, v in own.items() if k.startswith(prefix)})
        )
    # Answers share the ids of the tokens; the wider of the two sets decides.
    size = max(own["embed"].shape[0], own["unembed"].shape[1])
    embed = np.pad(own["embed"], ((0, size - own["embed"].shape[0]), (0, 0)))
    unembed = np.pad(own["unembed"], ((0, 0), (0, size - own["unembed"].shape[1])))
    return Parts(embed, own["positions"], tuple(layers), unembed)


def cases(*, pairs: int = 32, seed: int = 0) -> tuple[Case, ...]:
    """Every program as a case: prompts of random tokens, asked at the last position."""
    return written_cases("tracr", programs(), _prompt, pairs=pairs, seed=seed)


def _prompt(name: str, parts: Parts) -> Callable[[random.Random], tuple[int, ...]]:
    tokens = int(np.abs(parts.embed).any(1).sum())
    context = parts.positions.shape[0]

    def drawn(rng: random.Random) -> tuple[int, ...]:
        length = rng.randint(_SHORTEST, context - 1)
        return (0, *(rng.randrange(1, tokens) for _ in range(length)))

    def recurring(rng: random.Random) -> tuple[int, ...]:
        """Different tokens, the last of which came once before."""
        length = rng.randint(_SHORTEST, min(tokens - 1, context - 2))
        body = rng.sample(range(1, tokens), length)
        return (0, *body, rng.choice(body[:-1]))

    return recurring if name == "induction" else drawn
