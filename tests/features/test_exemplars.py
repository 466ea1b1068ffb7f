from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.exemplars import OCTAVES, REACH, Batch, Exemplars, Keeper, Kind, draw
from tomogram.features.statistics import bin_of
from tomogram.features.units import Firings

UNITS, CONTEXT, ROWS = 3, 40, 6


def text(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations [rows context units], many of them equal, and the document of each token."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 9, (ROWS, CONTEXT, UNITS)) * 0.5
    dense[rng.random(dense.shape) < 0.8] = 0
    documents = np.cumsum(rng.random(ROWS * CONTEXT) < 0.1).reshape(ROWS, CONTEXT)
    return dense.astype(np.float32), documents.astype(np.int32)


def keep(kind: Kind, n: int, seed: int, batches: list[list[int]]) -> Keeper:
    dense, documents = text(seed)
    keeper = Keeper(kind, UNITS, n)
    for rows in batches:
        part = dense[rows].reshape(-1, UNITS)
        token, unit = np.nonzero(part)
        position = (np.array(rows)[:, None] * CONTEXT + np.arange(CONTEXT)).reshape(-1)
        batch = Batch(position, documents[rows].reshape(-1), CONTEXT)
        keeper.add(Firings(token, unit, part[token, unit]), batch)
    return keeper


def by_hand(kind: Kind, n: int, seed: int) -> list[tuple[int, int, float]]:
    """(group, position, activation) of the exemplars, found by sorting everything."""
    dense, documents = text(seed)
    dense, documents = dense.reshape(-1, UNITS), documents.reshape(-1)
    groups: dict[int, list[tuple[float, int, int, float]]] = {}
    for position, unit in zip(*np.nonzero(dense), strict=True):
        activation = dense[position, unit]
        group, key = int(unit), float(activation)
        if kind == "spread":
            group = int(unit) * OCTAVES + int(bin_of(activation[None])[0]) // 2
            key = float(draw(np.array([position]))[0])
        entry = (-key, int(position), int(documents[position]), float(activation))
        groups.setdefault(group, []).append(entry)
    found = []
    for group in sorted(groups):
        seen: set[int] = set()
        for _, position, document, activation in sorted(groups[group]):
            if document not in seen and len(seen) < n:
                seen.add(document)
                found.append((group, position, activation))
    return found


def columns(exemplars: Exemplars) -> list[tuple[int, int, float]]:
    triple = (exemplars.group, exemplars.position, exemplars.activation)
    return [(int(g), int(p), float(a)) for g, p, a in zip(*triple, strict=True)]


def equal(a: Exemplars, b: Exemplars) -> bool:
    return (
        columns(a) == columns(b)
        and np.array_equal(a.document, b.document)
        and np.array_equal(a.window, b.window)
        and np.array_equal(a.peak, b.peak)
    )


kinds = st.sampled_from(["top", "spread"])
splits = st.permutations(range(ROWS)).flatmap(
    lambda rows: st.integers(1, ROWS).map(
        lambda size: [rows[i : i + size] for i in range(0, ROWS, size)]
    )
)


@given(kinds, st.integers(1, 4), st.integers(0, 50), splits)
def test_keeps_the_best_whatever_the_order_and_the_batches(
    kind: Kind, n: int, seed: int, batches: list[list[int]]
) -> None:
    assert columns(keep(kind, n, seed, batches).exemplars()) == by_hand(kind, n, seed)


@given(kinds, st.integers(1, 4), st.integers(0, 50), splits, st.integers(0, ROWS))
def test_two_processes_merged_are_one(
    kind: Kind, n: int, seed: int, batches: list[list[int]], cut: int
) -> None:
    whole = keep(kind, n, seed, batches).exemplars()
    left, right = keep(kind, n, seed, batches[:cut]), keep(kind, n, seed, batches[cut:])
    assert equal(left.merge(right).exemplars(), whole)
    assert equal(right.merge(left).exemplars(), whole)


@given(kinds, st.integers(0, 50))
def test_windows_show_the_activations_around(kind: Kind, seed: int) -> None:
    dense, _ = text(seed)
    exemplars = keep(kind, 3, seed, [[0, 1, 2], [3], [4, 5]]).exemplars()
    units = exemplars.group if kind == "top" else exemplars.group // OCTAVES
    for i, window in enumerate(exemplars.windows()):
        row, offset = divmod(int(exemplars.position[i]), CONTEXT)
        line = np.pad(dense[row, :, units[i]], REACH)
        around = line[offset : offset + 2 * REACH + 1]
        assert exemplars.peak[i] == around.max()
        assert np.abs(window - around).max() <= exemplars.peak[i] / 510 * 1.0001


def test_draw_is_uniform_and_does_not_follow_the_order() -> None:
    numbers = draw(np.arange(20_000))
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert np.all(np.abs(counts - 2000) < 200)
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03


def test_units_that_never_fire_have_no_exemplars() -> None:
    keeper = Keeper("top", UNITS, 2)
    empty = np.zeros(0, np.int64)
    batch = Batch(np.arange(CONTEXT), np.zeros(CONTEXT, np.int32), CONTEXT)
    keeper.add(Firings(empty, empty, np.zeros(0, np.float32)), batch)
    assert len(keeper.exemplars()) == 0
    assert keeper.exemplars().windows().shape == (0, 2 * REACH + 1)


def test_different_kinds_do_not_merge() -> None:
    with pytest.raises(ValueError, match="one kind"):
        Keeper("top", UNITS, 2).merge(Keeper("spread", UNITS, 2))
