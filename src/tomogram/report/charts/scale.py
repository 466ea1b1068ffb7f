"""From data to drawing units, and where the ticks go."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """Maps ``low..high`` onto ``start..end``; values outside are drawn at the border."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers inside the range, at most ``most`` of them."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / most))
        while (self.high - self.low) / step > most:
            step *= 2.5 if f"{step:e}"[0] == "2" else 2
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


@dataclass(frozen=True)
class Log:
    """Like `Linear` in the logarithm; what is at or below ``low`` is drawn at the border."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inner = Linear(math.log(self.low), math.log(self.high), self.start, self.end)
        return inner(math.log(max(value, self.low)))

    def ticks(self) -> list[float]:
        """The powers of ten inside the range."""
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


@dataclass(frozen=True)
class Root:
    """Like `Linear` in the square root: one scale for small values and large ones, with a zero."""

    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return Linear(0.0, math.sqrt(self.high), self.start, self.end)(math.sqrt(max(0.0, value)))

    def ticks(self, apart: float = 24.0) -> list[float]:
        """Zero and round numbers that are drawn at least ``apart`` from one another."""
        ticks = [0.0]
        for power in range(-3, 7):
            for step in (1, 2, 5):
                tick = step * 10.0**power
                if tick <= self.high and abs(self(tick) - self(ticks[-1])) >= apart:
                    ticks.append(tick)
        return ticks


def nice_top(value: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``value``."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= value - 1e-12)
