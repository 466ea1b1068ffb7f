"""Measure: how well a method finds the edges of a known circuit, and in what time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tomogram.circuits.discovery.acdc import acdc_scores
from tomogram.circuits.discovery.auroc import edge_auroc
from tomogram.circuits.discovery.faithfulness import Ends, curve, ends
from tomogram.circuits.discovery.scores import EdgeScores, score
from tomogram.circuits.known.case import Case
from tomogram.circuits.known.reference import THRESHOLD

ACDC = "acdc"


@dataclass(frozen=True, slots=True)
class Measured:
    """One method on one case.

    Args:
        auroc: of ranking edges by their mean size over pairs.
        auroc_signed: of ranking them by the size of their mean, as the published algorithms do.
        cpr, cmd: on the pairs held out.
        seconds: CPU time of scoring.
    """

    method: str
    case: str
    kind: str
    auroc: float
    auroc_signed: float
    cpr: float
    cmd: float
    seconds: float


def true_mask(
    case: Case, exact: Float[np.ndarray, "pair writer reader"], both: Ends
) -> Bool[np.ndarray, "writer reader"]:
    """The true edges of a case whose truth is exact patching on its held-out pairs."""
    size = abs(float((both.whole - both.empty).mean()))
    found: np.ndarray = np.abs(exact).mean(0) > THRESHOLD * size
    return found & case.graph.possible


def measure(case: Case, methods: Sequence[str]) -> tuple[Measured, ...]:
    """Every method on a case; what needs the truth first makes it, on the held-out pairs."""
    truth = case.truth
    if truth is None:
        exact = score(case.model, case.graph, case.held_out, "exact").by_pair
        truth = true_mask(case, exact, ends(case.model, case.graph, case.held_out))
    found = []
    for method in methods:
        start = time.process_time()
        scores = _scores(case, method)
        seconds = time.process_time() - start
        areas = curve(case.model, case.graph, case.held_out, scores)
        possible = case.graph.possible
        found.append(
            Measured(
                method,
                case.name,
                case.kind,
                edge_auroc(scores.strength, truth, possible),
                edge_auroc(scores.mean, truth, possible),
                areas.cpr.value,
                areas.cmd.value,
                seconds,
            )
        )
    return tuple(found)


def _scores(case: Case, method: str) -> EdgeScores:
    if method != ACDC:
        return score(case.model, case.graph, case.searched, method)
    found = acdc_scores(case.model, case.graph, case.searched)
    return EdgeScores(method, case.graph, found[None])
