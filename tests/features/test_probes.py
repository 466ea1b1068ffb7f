from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from tomogram.features.concepts import best_threshold
from tomogram.features.probes import probe

WIDTH, TOKENS = 12, 4000


def world(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations in which three concepts lie along fixed directions, the last one faintly."""
    rng = np.random.default_rng(seed)
    true = rng.random((TOKENS, 3)) < [0.3, 0.05, 0.02]
    directions = np.random.default_rng(9).standard_normal((3, WIDTH)) * [[3.0], [3.0], [1.0]]
    x = true @ directions + rng.standard_normal((TOKENS, WIDTH)) + 5
    return x.astype(np.float32), true


def test_as_good_as_the_library_one_concept_at_a_time() -> None:
    (x, true), (new, new_true) = world(0), world(1)
    found = probe(
        torch.from_numpy(x),
        sparse.csr_array(true),
        torch.from_numpy(new),
        sparse.csr_array(new_true),
    )
    cut = TOKENS * 4 // 5
    for concept in range(3):
        theirs = LogisticRegression(max_iter=500).fit(x[:cut], true[:cut, concept])
        threshold, _ = best_threshold(
            theirs.predict_proba(x[cut:])[:, 1], np.flatnonzero(true[cut:, concept])
        )
        said = theirs.predict_proba(new)[:, 1] > threshold
        assert abs(found.measured[concept] - f1_score(new_true[:, concept], said)) < 0.06
    assert found.measured[0] > 0.95


def test_the_same_seed_gives_the_same_probes() -> None:
    (x, true), (new, new_true) = world(0), world(1)
    both = [
        probe(
            torch.from_numpy(x),
            sparse.csr_array(true),
            torch.from_numpy(new),
            sparse.csr_array(new_true),
            seed=3,
        )
        for _ in range(2)
    ]
    assert np.array_equal(both[0].measured, both[1].measured)
    assert np.array_equal(both[0].threshold, both[1].threshold)


def test_a_concept_absent_from_the_training_part_does_no_harm() -> None:
    (x, true), (new, new_true) = world(0), world(1)
    true[:, 1] = False
    found = probe(
        torch.from_numpy(x),
        sparse.csr_array(true),
        torch.from_numpy(new),
        sparse.csr_array(new_true),
    )
    assert np.isfinite(found.measured).all()
    assert found.measured[0] > 0.95
