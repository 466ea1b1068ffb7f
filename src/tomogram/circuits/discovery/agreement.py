"""Agreement: predicted effects of edges beside measured ones, for a sample and for a circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import spearmanr

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.circuits.discovery.exact import exact
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.discovery.scores import EdgeScores
from tomogram.models.model import Model
from tomogram.store.estimates import resample
from tomogram.store.progress import task
from tomogram.store.schema import Estimate

_DECILES = 10


@dataclass(frozen=True, slots=True)
class Agreement:
    """How predicted effects of edges agree with measured ones.

    Args:
        spearman: rank correlation over the sampled edges, with its bootstrap interval.
        signs: share of them in which both have the same sign.
        slope: least squares through the origin, measured by predicted.
    """

    spearman: Estimate
    signs: float
    slope: float


def measured(
    model: Model,
    graph: EdgeGraph,
    pairs: Sequence[Pair],
    wanted: Bool[np.ndarray, "writer reader"],
    *,
    tokens: int = 2_048,
) -> Float[np.ndarray, "pair writer reader"]:
    """The exact effect of some edges on every pair; 0 for the others."""
    found = np.zeros((len(pairs), *graph.possible.shape), np.float32)
    groups = batches(pairs, tokens=tokens, device=model.device)
    total = int((wanted & graph.possible).sum()) * len(groups)
    with task("patching edges", total=total, unit="edges") as progress:
        for batch in groups:
            values = exact(model, graph, batch, wanted=wanted, advance=progress.advance)
            found[list(batch.rows)] = values.float().cpu().numpy()
    return found


def sampled(scores: EdgeScores, n: int, seed: int) -> Bool[np.ndarray, "writer reader"]:
    """At most n edges drawn evenly from the deciles of their strength."""
    mask = np.zeros_like(scores.graph.possible)
    ranked = np.array(scores.ranked())
    for writer, reader in ranked[evenly(len(ranked), n, seed)]:
        mask[writer, reader] = True
    return mask


def evenly(count: int, n: int, seed: int) -> Int[np.ndarray, " drawn"]:
    """At most n of the places 0 to `count` of a ranking, as many from each tenth of it."""
    generator = np.random.default_rng(seed)
    drawn = [
        part[generator.choice(len(part), min(len(part), n // _DECILES), replace=False)]
        for part in np.array_split(np.arange(count), _DECILES)
    ]
    return np.concatenate(drawn)


def agreement(
    predicted: Float[np.ndarray, " edge"], found: Float[np.ndarray, " edge"]
) -> Agreement | None:
    """Agreement over edges; None where there are fewer than three, or one side never varies."""
    if len(predicted) < 3 or np.ptp(predicted) == 0 or np.ptp(found) == 0:
        return None
    value = float(spearmanr(predicted, found).statistic)
    draws = []
    for weights in resample(len(predicted), draws=400):
        chosen = np.repeat(np.arange(len(predicted)), np.rint(weights * len(predicted)).astype(int))
        if np.ptp(predicted[chosen]) and np.ptp(found[chosen]):
            draws.append(float(spearmanr(predicted[chosen], found[chosen]).statistic))
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (value, value)
    size = float(predicted @ predicted)
    return Agreement(
        Estimate(value=value, low=min(low, value), high=max(high, value), n=len(predicted)),
        float((np.sign(predicted) == np.sign(found)).mean()),
        float(predicted @ found) / size if size else 0.0,
    )
