"""Feature circuits: the reference model's own behaviours over the features of its transcoders.

For each behaviour of `circuits.known.reference` the circuit over features is found on half of its
pairs and measured on the others: how much of what passes through MLPs it gives alone, with how many
of the nodes that differ, and how predicted effects of nodes agree with those of patching them one
at a time. Transcoders are those of `benchmarks.transcoders`.

    python -m benchmarks.feature_circuits --json
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.harness import Figure, figure, main
from benchmarks.transcoders import reference
from tomogram.circuits.discovery.discover import Settings
from tomogram.circuits.discovery.feature_circuit import discover_features
from tomogram.circuits.known.reference import cases
from tomogram.store.estimates import estimate, within

PAIRS, SAMPLED = 16, 100


def measure(quick: bool) -> dict[str, Figure]:
    """All figures; quick takes two behaviours, few pairs and transcoders of little text."""
    torch.set_num_threads(1)
    found = cases(pairs=4 if quick else PAIRS)
    model = found[0].model
    own = reference(model, tokens=60_000) if quick else reference(model)
    figures: dict[str, Figure] = {}
    shares, agreements, seconds = [], [], []
    for case in found[: 2 if quick else None]:
        start = time.process_time()
        settings = Settings(sampled=20 if quick else SAMPLED)
        circuit = discover_features(model, own, [*case.searched, *case.held_out], settings)
        seconds.append(time.process_time() - start)
        figures[f"{case.name}: faithfulness"] = figure(circuit.faithfulness)
        figures[f"{case.name}: nodes"] = Figure(float(len(circuit.kept)))
        figures[f"{case.name}: m(whole)"] = Figure(float(circuit.ends.whole.mean()))
        figures[f"{case.name}: m(empty)"] = Figure(float(circuit.ends.empty.mean()))
        shares.append(len(circuit.kept) / circuit.active)
        if circuit.agreement is not None:
            told = circuit.agreement
            figures[f"{case.name}: Spearman, predicted and measured"] = figure(told.spearman)
            agreements.append(told.spearman.value)
    figures["share of the nodes that differ"] = figure(estimate(np.array(shares)))
    figures["Spearman, mean"] = figure(within(estimate(np.array(agreements)), -1, 1))
    figures["processor seconds a behaviour"] = figure(estimate(np.array(seconds)))
    return figures


if __name__ == "__main__":
    main("feature_circuits", measure)
