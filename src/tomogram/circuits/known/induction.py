"""Induction: a trained two-layer model that repeats what it has read once.

Olsson et al. 2022 ("In-context Learning and Induction Heads"): a head of the first layer tells each
place what stood before it, and a head of the second looks for the place after the token it stands
at. The lag is random, and so is where a sequence begins: what is fixed is solved by counting places
alone.
"""

from __future__ import annotations

import random

from tomogram.circuits.known.case import Case, trained_case
from tomogram.circuits.known.small import Size, read

NAME = "induction"
SIZE = Size(vocabulary=48, context=48, width=64, heads=4, layers=2, hidden=64)
SHORTEST, LONGEST = 4, 16
"""Tokens before the repetition."""
BEGINS = (14, 34)
"""Where the second of two sequences begins in training, so that places alone say nothing."""
_FIRST, _ASKED = (14, 20), 8
"""How long the first sequence of a prompt is, and how many tokens the second has at most."""


def drawn(rng: random.Random) -> tuple[int, ...]:
    """A sequence that comes back, then another and the first few of it again: what is next?"""
    long, lags = rng.randint(*_FIRST), [rng.randint(SHORTEST, _ASKED) for _ in range(2)]
    tokens = rng.sample(range(SIZE.vocabulary), sum(lags))
    first, second = tokens[: lags[0]], tokens[lags[0] :]
    opening = [first[place % lags[0]] for place in range(long)]
    return (*opening, *second, *second[: rng.randint(1, lags[1] - 1)])


def answer(prompt: tuple[int, ...]) -> int:
    """What came after the earlier occurrence of the last token."""
    return prompt[prompt.index(prompt[-1]) + 1]


def cases(*, pairs: int = 32, seed: int = 0) -> tuple[Case, ...]:
    """The trained model as a case."""
    return (trained_case(NAME, "trained", read(NAME), drawn, pairs=pairs, seed=seed),)
