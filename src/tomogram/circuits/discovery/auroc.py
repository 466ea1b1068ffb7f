"""AUROC: how well scores of edges tell those of the true circuit from the others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_auc_score

from tomogram.store.errors import TomogramError


def edge_auroc(
    scores: Float[np.ndarray, "writer reader"],
    truth: Bool[np.ndarray, "writer reader"],
    possible: Bool[np.ndarray, "writer reader"],
) -> float:
    """Area under the ROC curve over all possible edges; equal scores count half.

    Raises:
        TomogramError: the true circuit holds no edge or every edge, or one that cannot be.
    """
    if (truth & ~possible).any():
        raise TomogramError("The true circuit has an edge that the model cannot have.")
    if truth[possible].all() or not truth.any():
        raise TomogramError("The true circuit must hold some of the edges and not all.")
    return float(roc_auc_score(truth[possible], np.abs(scores)[possible]))
