"""The bound: its count against brute force, its figures against known ones, its edges."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.custody.budget import (
    Spent,
    Terms,
    asks_within,
    bits,
    clusters_for,
    queries,
    width,
)
from tomogram.store.errors import TomogramError

ASKS, ALARMS = st.integers(1, 9), st.integers(1, 5)


@given(ASKS, ALARMS)
def test_queries_are_the_nodes_of_the_tree_of_answers(asks: int, alarms: int) -> None:
    pasts = [
        past
        for length in range(asks)
        for past in itertools.product("PA", repeat=length)
        if past.count("A") < alarms
    ]
    assert queries(asks, alarms) == len(pasts)


def test_known_figures() -> None:
    # A single use at n = 1000 and delta 0.05 is Hoeffding's interval, 0.043.
    assert width(1000, 1, 3, 0.05) == pytest.approx(math.sqrt(math.log(40) / 2000))
    assert width(1000, 1, 3, 0.05) == pytest.approx(0.043, abs=5e-4)
    # Twenty asks that stop at the third alarm: 20 + 190 + 1140 queries.
    assert queries(20, 3) == 1350
    assert width(1000, 20, 3, 0.05) == pytest.approx(0.0738, abs=1e-4)


@given(st.integers(1, 5000), ASKS, ALARMS, st.floats(0.001, 0.5))
def test_width_falls_with_clusters_and_grows_with_use(
    clusters: int, asks: int, alarms: int, delta: float
) -> None:
    here = width(clusters, asks, alarms, delta)
    assert width(clusters + 1, asks, alarms, delta) < here
    assert width(clusters, asks + 1, alarms, delta) > here
    assert width(clusters, asks, alarms + 1, delta) >= here


@given(st.integers(50, 3000), st.floats(0.05, 0.4), st.integers(1, 5))
def test_asks_within_is_the_last_that_fits(clusters: int, limit: float, alarms: int) -> None:
    asks = asks_within(clusters, limit, alarms, 0.05)
    if asks:
        assert width(clusters, asks, alarms, 0.05) <= limit
    if asks < 1_000_000:
        assert width(clusters, asks + 1, alarms, 0.05) > limit


@given(st.floats(0.02, 0.4), ASKS, ALARMS)
def test_clusters_for_is_the_first_that_fits(limit: float, asks: int, alarms: int) -> None:
    clusters = clusters_for(limit, asks, alarms, 0.05)
    assert width(clusters, asks, alarms, 0.05) <= limit * (1 + 1e-12)
    assert clusters == 1 or width(clusters - 1, asks, alarms, 0.05) > limit


def test_the_first_ask_costs_nothing_and_an_alarm_less_costs_less() -> None:
    assert bits(0, 3) == bits(1, 3) == 0
    assert bits(2, 3) == math.log2(3)  # one query at first, two after it
    assert bits(100, 1) == math.log2(100) < bits(100, 3)


def test_a_shard_closes_at_its_alarms_and_at_its_asks() -> None:
    terms = Terms(clusters=200, width=0.16, delta=0.05, alarms=2, noise=0.05)
    assert Spent(0, 0).refusal(terms) is None
    assert "alarms" in (Spent(2, 2).refusal(terms) or "")
    assert "asks" in (Spent(terms.asks, 0).refusal(terms) or "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"clusters": 0},
        {"alarms": 0},
        {"delta": 0.0},
        {"delta": 1.0},
        {"width": 0.0},
        {"noise": -0.1},
        {"clusters": 20},  # too few for a single ask
    ],
)
def test_impossible_terms_are_refused(wrong: dict[str, float]) -> None:
    good = {"clusters": 200, "width": 0.16, "delta": 0.05, "alarms": 2, "noise": 0.05}
    with pytest.raises(TomogramError):
        Terms(**(good | wrong))  # type: ignore[arg-type]
