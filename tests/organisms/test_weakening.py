"""Weaker organisms: the size at which a share of prompts shows the behaviour."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tomogram.organisms.delta import Delta, Factors, size
from tomogram.organisms.weakening import CLOSE, HALVINGS, weakened

FULL: Delta = {"a": Factors(torch.ones(1, 4), torch.ones(4, 1))}


def _factor(delta: Delta) -> float:
    return size(delta) / size(FULL)


@given(st.floats(0.05, 0.95), st.floats(1.0, 4.0))
def test_a_rising_share_is_met(dose: float, bend: float) -> None:
    made = weakened(FULL, dose, lambda tried: _factor(tried) ** bend)
    steepest = bend  # of the share by the size, at the full size
    assert abs(_factor(made) ** bend - dose) <= max(CLOSE, steepest * 2.0**-HALVINGS) + 1e-2


def test_of_a_step_the_nearest_size_is_taken() -> None:
    """Where the share jumps from nothing to all, a dose of .3 gets a size below the jump."""
    asked: list[float] = []

    def shown(tried: Delta) -> float:
        asked.append(_factor(tried))
        return float(_factor(tried) > 0.4)

    assert _factor(weakened(FULL, 0.3, shown)) < 0.4 == pytest.approx(asked[-1], abs=0.02)
    assert len(asked) == HALVINGS


def test_where_every_size_shows_more_it_gets_small() -> None:
    """A base that shows the behaviour itself, say."""
    assert _factor(weakened(FULL, 0.1, lambda _: 0.5)) <= 0.5
