"""Whether a figure measured again is the one that was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.custody.verify import Check, Outcome

SAFETY = 3.0
"""How many times the largest change seen under rounding is still called rounding."""
FLOOR = 1e-6
"""Relative change that sums of float32 numbers may always have."""
USELESS = 0.1
"""A tolerance above this share of the recorded value would let anything pass."""


@dataclass(frozen=True)
class Repeated:
    """A figure as it is recorded, as it was measured again, and with the weights shaken."""

    name: str
    recorded: float
    again: float
    shaken: tuple[float, ...]

    @property
    def tolerance(self) -> float:
        """How far rounding may carry it: `SAFETY` times the largest change that shaking showed."""
        spread = max((abs(value - self.again) for value in self.shaken), default=0.0)
        return SAFETY * spread + FLOOR * max(abs(self.recorded), abs(self.again))


def judge(figure: Repeated) -> Check:
    """Whether the figure is the recorded one, is not, or moves too much by rounding to say."""
    tolerance = figure.tolerance
    told = (
        f"{figure.recorded:.6g} is recorded, {figure.again:.6g} was measured;"
        f" tolerance {tolerance:.2g}"
    )
    if abs(figure.again - figure.recorded) > tolerance:
        return Check(figure.name, Outcome.DIFFERS, f"{told}.")
    if tolerance > USELESS * abs(figure.recorded):
        reason = f"{told}: rounding alone moves this figure too much to say anything."
        return Check(figure.name, Outcome.UNCHECKED, reason)
    return Check(figure.name, Outcome.REPRODUCED, f"{told}.")
