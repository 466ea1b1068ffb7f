from __future__ import annotations

import numpy as np

from tomogram.features.cofiring import Pairs
from tomogram.features.kinship import leaders


def pairs(*ties: tuple[int, int, int]) -> Pairs:
    """Pairs a, b that share 10 firings and miss some: strength 10 / (12 + misses)."""
    a, b, misses = (np.array(column) for column in zip(*ties, strict=True))
    return Pairs(a, b, np.full(len(a), 10), misses, np.zeros_like(misses))


def test_the_unit_that_fires_most_leads_and_groups_do_not_chain() -> None:
    count = np.array([5.0, 9.0, 7.0, 8.0, 1.0])
    # 1–0, 0–2 and 2–3 are tied; 4 is tied to 3 too weakly.
    ties = pairs((0, 1, 0), (0, 2, 0), (2, 3, 1), (3, 4, 30))
    assert leaders(ties, count, 0.5).tolist() == [1, 1, 3, 3, 4]


def test_a_lower_bar_gives_larger_groups() -> None:
    count = np.array([1.0, 2.0, 3.0])
    ties = pairs((0, 2, 2), (1, 2, 20))
    assert leaders(ties, count, 0.5).tolist() == [2, 1, 2]
    assert leaders(ties, count, 0.2).tolist() == [2, 2, 2]


def test_equals_are_led_by_the_first() -> None:
    assert leaders(pairs((0, 1, 0)), np.ones(3), 0.1).tolist() == [0, 0, 2]
