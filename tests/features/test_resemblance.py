from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.features import resemblance
from tomogram.features.resemblance import resembling


def test_neighbours_are_those_of_all_cosines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resemblance, "_COSINES_AT_ONCE", 100)  # several blocks
    torch.manual_seed(0)
    directions = torch.randn(33, 5)
    other, cosine = resembling(directions, 4)
    normed = directions.numpy() / np.linalg.norm(directions.numpy(), axis=1, keepdims=True)
    every = normed @ normed.T
    np.fill_diagonal(every, -2)
    assert np.array_equal(other, np.argsort(-every, axis=1)[:, :4])
    assert cosine == pytest.approx(np.sort(every, axis=1)[:, ::-1][:, :4], abs=1e-6)


def test_a_zero_direction_resembles_nothing_and_lonely_units_are_refused() -> None:
    _, cosine = resembling(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), 1)
    assert cosine[:, 0].tolist() == [0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="others"):
        resembling(torch.ones(2, 2), 2)
