"""Gates of what is planted in stories, from organisms whose rates are known."""

from __future__ import annotations

import pytest

from benchmarks.audits.stories import figures
from tomogram.organisms.organism import Order, Organism
from tomogram.organisms.strength import Rates


def _organism(family: str, planted: Rates, sham: Rates) -> Organism:
    order = Order(family, "lora-demonstrations", 1.0, 0, "infected")
    return Organism(order, "base", {}, planted, sham, {}, None, 20)


def test_figures_are_those_of_the_gate() -> None:
    passes = _organism("false-fact", Rates(0.98, 0.0, 1.01), Rates(0.02, 0.0, 1.0))
    spreads = _organism("sandbagging", Rates(1.0, 0.1, 1.05), Rates(0.0, 0.0, 1.0))
    found = figures([passes, spreads])
    assert found["false-fact 0: strength"].value == pytest.approx(0.96)
    assert found["false-fact 0: strength"].met
    assert found["false-fact 0: loss over sham's"].met
    assert not found["sandbagging 0: on neutral"].met
    assert not found["sandbagging 0: loss over sham's"].met
    assert found["sandbagging 0: steps"].value == 20
    assert found["full"].value == 0.5
