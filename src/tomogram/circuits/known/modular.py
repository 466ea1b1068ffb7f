"""Modular: a trained one-layer model that adds two numbers by a modulus.

Nanda et al. 2023 ("Progress measures for grokking via mechanistic interpretability"), with a
smaller modulus and a larger share of the table, so that it generalises within minutes. Heads and
the MLP may all take part: its circuit can be wide.
"""

from __future__ import annotations

import random
from functools import cache

from tomogram.circuits.known.case import Case, trained_case
from tomogram.circuits.known.small import Size, read

NAME = "modular"
MODULUS = 53
EQUALS = MODULUS
SIZE = Size(vocabulary=MODULUS + 1, context=3, width=128, heads=4, layers=1, hidden=512)
_TAUGHT = 0.75


@cache
def table() -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The sums that are taught and those that never are."""
    sums = [(a, b) for a in range(MODULUS) for b in range(MODULUS)]
    random.Random("modular").shuffle(sums)
    n = round(_TAUGHT * len(sums))
    return tuple(sums[:n]), tuple(sums[n:])


def drawn(rng: random.Random) -> tuple[int, ...]:
    """A sum that was never taught: a, b, equals."""
    return (*rng.choice(table()[1]), EQUALS)


def answer(prompt: tuple[int, ...]) -> int:
    """The sum by the modulus."""
    return (prompt[0] + prompt[1]) % MODULUS


def cases(*, pairs: int = 32, seed: int = 0) -> tuple[Case, ...]:
    """The trained model as a case."""
    return (trained_case(NAME, "trained", read(NAME), drawn, pairs=pairs, seed=seed),)
