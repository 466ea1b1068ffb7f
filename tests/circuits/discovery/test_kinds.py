"""Kinds of documents: groups that lie apart are found, whatever their sizes."""

from __future__ import annotations

import numpy as np

from tomogram.circuits.discovery.kinds import FEWEST, kinds

SIZES = (200, 60, 15)


def described(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three groups far from each other, one of them small."""
    rng = np.random.default_rng(seed)
    middles = 8 * rng.standard_normal((3, 4))
    group = np.repeat(np.arange(3), SIZES)
    return middles[group] + rng.standard_normal((len(group), 4)), group


def test_every_group_is_among_the_first() -> None:
    points, group = described()
    found = [set(each.tolist()) for each in kinds(points)[:6]]
    for number in range(3):
        own = set(np.flatnonzero(group == number).tolist())
        assert max(2 * len(own & each) / (len(own) + len(each)) for each in found) > 0.9


def test_all_documents_come_last_and_small_groups_not_at_all() -> None:
    points, _ = described()
    found = kinds(points)
    np.testing.assert_array_equal(found[-1], np.arange(len(points)))
    assert min(len(each) for each in found) >= FEWEST
    assert len({tuple(each.tolist()) for each in found}) == len(found)


def test_few_documents_are_one_kind() -> None:
    found = kinds(np.random.default_rng(0).standard_normal((2 * FEWEST - 1, 5)))
    assert len(found) == 1
    assert len(found[0]) == 2 * FEWEST - 1


def test_documents_that_are_all_alike_are_no_error() -> None:
    found = kinds(np.ones((30, 4)))
    np.testing.assert_array_equal(found[-1], np.arange(30))
