"""Circuit discovery on known circuits: edge AUROC, CPR, CMD and CPU time of every method.

Figures are means over the circuits of a kind: `tracr` and `planted`, whose true edges follow from
their matrices, and `reference`, whose truth is exact patching on other prompts at the threshold
`circuits.known.reference.THRESHOLD`. ACDC runs on the small models only. `of means` ranks edges by
the size of their mean over pairs, as published; without it by their mean size.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from benchmarks.harness import Figure, figure, main
from tomogram.circuits.discovery.scores import METHODS
from tomogram.circuits.known.measure import ACDC, Measured, measure
from tomogram.pipeline.selftest import known_cases
from tomogram.store.estimates import estimate, within

FAST = "secant"
TARGETS = {"exact": {"tracr": 1.0, "planted": 1.0}, FAST: {"tracr": 0.97, "planted": 0.97}}
TRAINED = 0.90


def measure_all(quick: bool) -> dict[str, Figure]:
    """Every method on every known circuit; quick takes four pairs and leaves ACDC out."""
    found: list[Measured] = []
    for case in known_cases(pairs=4 if quick else 32):
        small = case.kind != "reference" and not quick
        found += measure(case, (*METHODS, *((ACDC,) if small else ())))
    groups: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for each in found:
        groups[each.kind, each.method].append(each)
    figures: dict[str, Figure] = {}
    for (kind, method), group in groups.items():
        target = TARGETS.get(method, {}).get(kind)
        if kind == "reference" and method == FAST:
            target = TRAINED
        for name, values, aim in (
            ("edge AUROC", [each.auroc for each in group], target),
            ("edge AUROC of means", [each.auroc_signed for each in group], None),
        ):
            mean = within(estimate(np.array(values)), 0, 1)
            figures[f"{kind}: {method}: {name}"] = figure(mean, aim)
        for name in ("cpr", "cmd", "seconds"):
            mean = estimate(np.array([getattr(each, name) for each in group]))
            label = "CPU seconds" if name == "seconds" else name.upper()
            figures[f"{kind}: {method}: {label}"] = figure(mean)
    return figures


if __name__ == "__main__":
    main("circuits", measure_all)
