"""Proof: what interventions measured of a graph, beside what the graph predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from tomogram.store.schema import Estimate

EXACT, FAITHFUL, SIGNS = 0.999, 0.75, 0.75
"""Least Spearman correlation with attention and norms frozen and in the original model, and least
share of effects whose sign is as predicted in the original model."""
FEW = 8
"""With fewer measured effects than this no correlation is taken for evidence."""


@dataclass(frozen=True)
class Agreement:
    """Predicted against measured effects.

    Args:
        spearman: rank correlation, with a bootstrap interval over the effects.
        signs: share with the predicted sign. slope: of measured on predicted, through 0.
    """

    spearman: Estimate
    signs: float
    slope: float


@dataclass(frozen=True)
class Checked:
    """One edge or path: nodes from the source to the end, and its effect.

    Args:
        predicted: what the graph says the source adds to the end, directly; along a path, what it
            adds through the path.
        frozen: measured with attention patterns, norm denominators and all other nodes held.
        direct: measured with attention and norms live and the other MLPs held.
        total_predicted: what the graph says it adds along all its paths.
        total: measured in the original model, nothing held. A path has none of the last two.
        direct_slope, total_slope: what the source is worth with attention and norms live, to
            first order: the edge, and what the source does to scores and denominators.
        direct_live, total_live: measured, as `direct` and `total`, by taking away `step` of it.
    """

    path: tuple[int, ...]
    predicted: float
    frozen: float
    direct: float
    total_predicted: float | None = None
    total: float | None = None
    direct_slope: float = 0.0
    direct_live: float = 0.0
    total_slope: float = 0.0
    total_live: float = 0.0
    step: float = 1.0


@dataclass(frozen=True)
class Group:
    """A supernode's effect on the first target, all its units taken away together.

    Args:
        nodes: its units.
        predicted: what they are worth to it with everything live, to first order.
        measured: in the original model, by taking away `step` of what they write, over `step`.
    """

    nodes: tuple[int, ...]
    predicted: float
    measured: float
    step: float = 1.0


@dataclass(frozen=True)
class Faithfulness:
    """What the model does with nothing but a part of its graph, by MIB's definitions.

    Args:
        full, empty: the target's value with all nodes, and with none.
        kept: share of all units and errors that the pruned graph has. value: its f.
        shares, curve: f of growing parts, the most influential nodes first.
        cpr, cmd: areas under f and |1 − f|.
    """

    full: float
    empty: float
    kept: float
    value: float
    shares: tuple[float, ...]
    curve: tuple[float, ...]
    cpr: float
    cmd: float


@dataclass(frozen=True)
class Proof:
    """Measured effects of a sample of edges and of the top paths.

    Args:
        frozen, direct, total: agreement over the edges; None with fewer than `FEW` of them.
        along_paths: agreement of the paths' direct effects.
        unaccounted: the largest share of a node's incoming mass by which its edges and biases miss
            its value.
        direct_live, total_live: the same with attention and norms answering to first order, and
            no more than a quarter of the stream taken away.
        whole: what the kept subgraph does alone; None where it was not measured.
        looks_frozen, looks_direct: agreement of what nodes do to scores of heads.
        groups: supernodes, measured; groups_live: their agreement.
    """

    edges: tuple[Checked, ...]
    paths: tuple[Checked, ...]
    frozen: Agreement | None
    direct: Agreement | None
    total: Agreement | None
    along_paths: Agreement | None
    unaccounted: float
    direct_live: Agreement | None = None
    total_live: Agreement | None = None
    whole: Faithfulness | None = None
    looks_frozen: Agreement | None = None
    looks_direct: Agreement | None = None
    groups: tuple[Group, ...] = ()
    groups_live: Agreement | None = None

    @property
    def fault(self) -> str:
        """What the graph failed; empty when it passed."""
        faults = []
        if self.unaccounted > 1e-3:
            faults.append("edges do not add up to the nodes' values")
        if self.frozen is None or self.direct_live is None or self.total_live is None:
            faults.append("too few edges to measure")
            return "; ".join(faults)
        if not self.frozen.spearman.value >= EXACT:
            faults.append(f"frozen Spearman {self.frozen.spearman.value:.3f}")
        for name, found in (("direct", self.direct_live), ("total", self.total_live)):
            if not found.spearman.value >= FAITHFUL:
                faults.append(f"{name} Spearman {found.spearman.value:.2f} in the original model")
            if not found.signs >= SIGNS:
                faults.append(f"{name} sign agreement {found.signs:.2f} in the original model")
        return "; ".join(faults)

    @property
    def passed(self) -> bool:
        """Whether the graph stood its check."""
        return not self.fault


def agreement(
    predicted: Sequence[float], measured: Sequence[float], *, seed: int = 0
) -> Agreement | None:
    """Compare predicted and measured effects; None with fewer than `FEW`."""
    x, y = np.array(predicted, float), np.array(measured, float)
    if len(x) < FEW:
        return None
    draws = np.random.default_rng(seed).integers(0, len(x), (1000, len(x)))
    found = _spearman(x[draws], y[draws])
    low, high = np.nanquantile(found, [0.025, 0.975])
    value = float(_spearman(x[None], y[None])[0])
    size = float((x * x).sum())
    return Agreement(
        spearman=Estimate(
            value=value, low=min(float(low), value), high=max(float(high), value), n=len(x)
        ),
        signs=float((np.sign(x) == np.sign(y)).mean()),
        slope=float((x * y).sum() / size) if size else float("nan"),
    )


def _spearman(
    x: Float[np.ndarray, "draws n"], y: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    a, b = rankdata(x, axis=1), rankdata(y, axis=1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    # Equal measured effects have no order: no agreement.
    return np.divide((a * b).sum(1), size, out=np.zeros_like(size), where=size > 0)
