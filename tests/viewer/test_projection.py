"""The map: neighbours stay neighbours, and the same rows give the same map."""

from __future__ import annotations

import numpy as np

from tomogram.viewer import projection
from tomogram.viewer.projection import project


def clusters(each: int, seed: int = 0) -> np.ndarray:
    """Directions in three tight bundles, one after the other."""
    rng = np.random.default_rng(seed)
    centres = np.eye(24)[:3]
    rows = np.repeat(centres, each, axis=0) + 0.05 * rng.standard_normal((3 * each, 24))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_bundles_of_directions_stay_apart() -> None:
    places = project(clusters(40))
    groups = places.reshape(3, 40, 2)
    within = max(np.linalg.norm(g - g.mean(0), axis=1).mean() for g in groups)
    between = min(
        np.linalg.norm(groups[i].mean(0) - groups[j].mean(0)) for i, j in ((0, 1), (0, 2), (1, 2))
    )
    assert between > 2 * within
    assert places.min() >= 0
    assert places.max() <= 1


def test_what_is_no_landmark_lies_with_its_own_bundle(monkeypatch) -> None:
    monkeypatch.setattr(projection, "LANDMARKS", 45)
    groups = project(clusters(40)).reshape(3, 40, 2)
    centres = np.median(groups, axis=1)
    nearest = np.linalg.norm(groups[:, :, None] - centres, axis=-1).argmin(-1)
    assert (nearest == np.arange(3)[:, None]).mean() > 0.95


def test_the_same_rows_give_the_same_map() -> None:
    rows = clusters(20)
    assert np.array_equal(project(rows), project(rows))


def test_few_rows_get_places_too() -> None:
    for n in range(5):
        assert project(clusters(2)[:n]).shape == (n, 2)
