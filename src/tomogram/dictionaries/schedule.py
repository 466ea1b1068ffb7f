"""Schedule: the learning rate over the steps of a training."""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Schedule:
    """A linear rise to `peak`, a plateau, and a linear fall to zero.

    `warmup` and `decay` are shares of all steps, each between 0 and 1.
    """

    peak: float
    warmup: float = 0.02
    decay: float = 0.3

    def __post_init__(self) -> None:
        if not self.peak > 0:
            raise TomogramError(f"The learning rate must be positive, not {self.peak}.")
        if not (0 <= self.warmup <= 1 and 0 <= self.decay <= 1):
            raise TomogramError("Warm-up and decay are shares of the steps, between 0 and 1.")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step `step`, counted from 0, out of `steps`."""
        rise = (step + 1) / (self.warmup * steps) if self.warmup else 1.0
        fall = (steps - step) / (self.decay * steps) if self.decay else 1.0
        return self.peak * min(1.0, rise, fall)
