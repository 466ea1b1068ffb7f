from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.cofiring import cofiring
from tomogram.features.sketches import Sketch
from tomogram.features.units import Firings


def sketched(fires: np.ndarray, n: int) -> Sketch:
    """A sketch of a boolean [tokens units]."""
    token, unit = fires.nonzero()
    sketch = Sketch(fires.shape[1], n)
    sketch.add(Firings(token, unit, np.ones(len(token), np.float32)), np.arange(len(fires)))
    return sketch


@given(st.integers(0, 2**32))
def test_of_rare_units_everything_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fires = rng.random((50, 7)) < 0.3
    pairs = cofiring([sketched(fires[:, :3], 50), sketched(fires[:, 3:], 50)], least=0.0)
    found = {(int(p), int(q)): i for i, (p, q) in enumerate(zip(pairs.a, pairs.b, strict=True))}
    for a in range(7):
        for b in range(a + 1, 7):
            both = int((fires[:, a] & fires[:, b]).sum())
            assert ((a, b) in found) == (both >= 3)
            if both >= 3:
                i = found[a, b]
                assert pairs.both[i] == both
                assert pairs.only_a[i] == int((fires[:, a] & ~fires[:, b]).sum())
                assert pairs.only_b[i] == int((fires[:, b] & ~fires[:, a]).sum())
                assert pairs.jaccard[i] == both / int((fires[:, a] | fires[:, b]).sum())


def test_of_frequent_units_shares_are_estimated() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(200_000) < 0.2
    b = np.where(rng.random(200_000) < 0.7, a, rng.random(200_000) < 0.05)
    c = rng.random(200_000) < 0.001
    pairs = cofiring([sketched(np.stack([a, b, c], 1), 2_000)], least=0.0)
    first = np.flatnonzero((pairs.a == 0) & (pairs.b == 1))[0]
    # 2,000 firings: a standard error of about .011
    assert pairs.jaccard[first] == pytest.approx((a & b).sum() / (a | b).sum(), abs=0.04)


def test_weak_pairs_are_left_out_and_nothing_gives_nothing() -> None:
    fires = np.zeros((100, 2), bool)
    fires[:60, 0] = fires[55:, 1] = True
    assert len(cofiring([sketched(fires, 200)], least=0.06)) == 0
    assert len(cofiring([sketched(fires, 200)], least=0.05)) == 1
    assert len(cofiring([sketched(np.zeros((9, 3), bool), 4)])) == 0
