"""Weaker organisms: the change of a full one, made smaller until fewer prompts show the behaviour.

A training that stops early makes no weak organism: a behaviour comes within few steps, and before
that neutral prompts show it, too. A smaller change lies between the base and the organism, as a
scaled task vector does (Ilharco et al. 2023, section 3).
"""

from __future__ import annotations

from collections.abc import Callable

from tomogram.organisms.delta import Delta, half, scaled

HALVINGS = 7
"""Sizes that are tried: the last two are less than one in a hundred of the change apart."""
CLOSE = 0.02
"""A share as near as this to the one that is wanted is taken."""


def weakened(delta: Delta, dose: float, shown: Callable[[Delta], float]) -> Delta:
    """The change at the size, below its own, at which about a share of prompts shows the behaviour.

    Args:
        dose: the share that is wanted, in (0, 1).
        shown: the share of prompts that show the behaviour with a change; it should rise with the
            size of the change. None of the prompts may be among those that strength is measured on.
    """
    low, high = 0.0, 1.0
    nearest, gap = delta, float("inf")
    for _ in range(HALVINGS):
        factor = (low + high) / 2
        tried = half(scaled(delta, factor))
        share = shown(tried)
        if abs(share - dose) < gap:
            nearest, gap = tried, abs(share - dose)
        if gap <= CLOSE:
            break
        low, high = (factor, high) if share < dose else (low, factor)
    return nearest
