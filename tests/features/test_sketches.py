from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.exemplars import draw
from tomogram.features.sketches import Sketch
from tomogram.features.units import Firings


def firings(token: np.ndarray, unit: np.ndarray) -> Firings:
    return Firings(token, unit, np.ones(len(token), np.float32))


def kept(sketch: Sketch) -> dict[int, list[int]]:
    unit, position = sketch.entries()
    return {int(u): position[unit == u].tolist() for u in np.unique(unit)}


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 5))
def test_a_sketch_holds_the_firings_of_largest_draw(seed: int, n: int, batches: int) -> None:
    rng = np.random.default_rng(seed)
    tokens, units = 60, 5
    fires = rng.random((tokens, units)) < rng.random(units)
    sketch = Sketch(units, n)
    for part in np.array_split(np.arange(tokens), batches):
        token, unit = fires[part].nonzero()
        sketch.add(firings(token, unit), part)
    found = kept(sketch)
    for unit in range(units):
        where = np.flatnonzero(fires[:, unit])
        best = where[np.argsort(-draw(where))][:n].tolist()
        assert found.get(unit, []) == best


@given(st.integers(0, 2**32))
def test_two_sketches_merge_to_what_one_keeps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    token, unit = (rng.random((80, 4)) < 0.3).nonzero()
    position = rng.permutation(80)
    whole, halves = Sketch(4, 6), [Sketch(4, 6), Sketch(4, 6)]
    whole.add(firings(token, unit), position)
    for half, sketch in enumerate(halves):
        own = token // 40 == half
        sketch.add(firings(token[own] - 40 * half, unit[own]), position[40 * half :][:40])
    for merged in (halves[0].merge(halves[1]), halves[1].merge(halves[0])):
        assert kept(merged) == kept(whole)


def test_sketches_of_other_sizes_do_not_merge() -> None:
    with pytest.raises(ValueError, match="merge"):
        Sketch(4, 6).merge(Sketch(4, 5))
    with pytest.raises(ValueError, match="at least one"):
        Sketch(4, 0)
