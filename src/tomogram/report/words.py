"""Numbers as a reader wants to see them."""

from __future__ import annotations

import math

from tomogram.store.schema import Estimate

# Never broken at a line end.
_SPACE = "\u00a0"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def whole(value: int) -> str:
    """An integer with thousands separated: ``12,345``."""
    return f"{value:,}"


def short(value: float) -> str:
    """A number in three digits: ``15.2 M``."""
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.3g}{_SPACE}{prefix}"
    return f"{value:.3g}"


def decimal(value: float, places: int = 2) -> str:
    """A number with fixed places and a true minus sign."""
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share as a percentage; small shares keep a digit that says something."""
    value = 100 * share
    if value == 0 or abs(value) >= 10:
        return f"{decimal(value, 0)}{_SPACE}%"
    if abs(value) >= 1:
        return f"{decimal(value, 1)}{_SPACE}%"
    places = min(4, 1 - math.floor(math.log10(abs(value))))
    return f"{decimal(value, places)}{_SPACE}%"


def span(estimate: Estimate, places: int = 2) -> str:
    """A value with its interval: ``0.31 (0.28 to 0.35)``."""
    low, high = decimal(estimate.low, places), decimal(estimate.high, places)
    return f"{decimal(estimate.value, places)} ({low} to {high})"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """A count and its noun: ``1 layer``, ``6 layers``."""
    return f"{whole(count)} {noun if count == 1 else nouns or noun + 's'}"
