"""Whether a figure measured again is the one that was recorded."""

from __future__ import annotations

from collections.abc import Sequence

from tomogram.custody.verify import Check, Outcome

SAFETY = 3.0
"""How many times the largest change seen under rounding is still called rounding."""
FLOOR = 1e-6
"""Relative change that sums of float32 numbers may always have."""
USELESS = 0.1
"""A tolerance above this share of the recorded value would let anything pass."""


def judge(name: str, recorded: float, again: float, shaken: Sequence[float]) -> Check:
    """Compare a recorded figure with the one measured again.

    shaken: the same figure with the weights moved in their last place, a few times over. The
    tolerance is `SAFETY` times the largest change these show, and at least `FLOOR`.
    """
    scale = max(abs(recorded), abs(again))
    spread = max((abs(value - again) for value in shaken), default=0.0)
    tolerance = SAFETY * spread + FLOOR * scale
    told = f"{recorded:.6g} is recorded, {again:.6g} was measured; tolerance {tolerance:.2g}"
    if tolerance > USELESS * abs(recorded) and abs(again - recorded) <= tolerance:
        reason = f"{told}: rounding alone moves this figure too much to say anything."
        return Check(name, Outcome.UNCHECKED, reason)
    if abs(again - recorded) <= tolerance:
        return Check(name, Outcome.REPRODUCED, f"{told}.")
    return Check(name, Outcome.DIFFERS, f"{told}.")
